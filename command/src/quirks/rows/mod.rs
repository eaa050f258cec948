//! The table: one row per defect.

mod arm64;
mod emulators;
mod linux;
mod others;
mod programs;
mod x86;

use sigward::quirks::Confidence;

use super::model::{Cure, Harm, Layer, Reach, Row, System, Trigger, Versions, Whom};
use crate::quirks::model::Proof;

/// What most rows have in common: a defect of Linux, read in a source, that sigward only names.
const KERNEL: Row = Row {
    id: "",
    layer: Layer::Kernel,
    system: System::Linux,
    arches: &[],
    needs: &[],
    versions: Versions::Unknown,
    trigger: Trigger::Race,
    whom: Whom::Everyone,
    harm: Harm::Data,
    cure: Cure::Nothing,
    reach: Reach::Told,
    proof: Proof::Read,
    confidence: Confidence::High,
    summary: "",
    instead: "",
    source: "",
};

/// Every row, in the order of the document.
pub fn all() -> impl Iterator<Item = &'static Row> {
    [x86::ROWS, arm64::ROWS, linux::ROWS, others::ROWS, emulators::ROWS, programs::ROWS]
        .into_iter()
        .flatten()
}
