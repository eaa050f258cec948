//! The table of every kernel defect of this class, and of its kin in libcs, runtimes and
//! emulators: what is known of each, and where a machine stands.
//!
//! The library has only the rows that it acts on ([`sigward::quirks`]); the texts are here.
//! [`records`] is made from the kernel CNA's records by `integration/quirks`.

#[cfg(test)]
mod document;
pub mod judge;
pub mod model;
pub mod ranges;
#[rustfmt::skip]
mod records;
mod rows;

pub use model::Row;
pub use rows::all;

use ranges::Record;

/// The row with this id, or with this CVE.
pub fn find(name: &str) -> Option<&'static Row> {
    all().find(|row| row.id == name || cve(row).is_some_and(|cve| cve.eq_ignore_ascii_case(name)))
}

/// The record with this CVE number.
pub fn record(cve: &str) -> Option<&'static Record> {
    records::RECORDS.iter().find(|record| record.cve == cve)
}

/// The CVE number of a row.
pub fn cve(row: &Row) -> Option<&'static str> {
    match row.versions {
        model::Versions::Record(cve) => Some(cve),
        _ if row.id == sigward::quirks::LINUX_SIGFRAME_FPU.id => Some("CVE-2019-19602"),
        _ => None,
    }
}
