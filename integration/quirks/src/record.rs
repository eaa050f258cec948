//! What a record of the kernel CNA says: which versions are affected on which branch.

use serde::{Deserialize, Serialize};

/// A kernel version.
pub type Version = (u32, u32, u32);

/// One CVE.
#[derive(Debug, Default)]
pub struct Record {
    pub cve: String,
    /// The mainline version that brought the defect.
    pub since: Option<Version>,
    /// Affected versions of branches that took the defect with a backport: from, first good.
    pub spans: Vec<(Version, Version)>,
    /// The first good version of each stable branch that has one.
    pub fixed: Vec<Version>,
    /// The first good mainline version.
    pub mainline: Option<Version>,
    /// The commits that brought the defect, and those that fix it.
    pub introduced: Vec<String>,
    pub commits: Vec<String>,
}

impl Record {
    /// Year and number of the id.
    pub fn order(&self) -> (u32, u32) {
        let mut numbers = self.cve.split('-').skip(1).map(|part| part.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }
}

/// The part of the file that is read. What it leaves out is prose.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    cve_metadata: Metadata,
    containers: Containers,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    cve_id: String,
    state: String,
}

#[derive(Serialize, Deserialize)]
struct Containers {
    cna: Cna,
}

#[derive(Serialize, Deserialize)]
struct Cna {
    affected: Vec<Product>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Product {
    product: String,
    versions: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    less_than: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    less_than_or_equal: Option<String>,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_type: Option<String>,
}

fn read(text: &str) -> Result<File, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// The same record without its prose.
pub fn extract(text: &str) -> Result<String, String> {
    let file = read(text)?;
    serde_json::to_string_pretty(&file).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// Reads a record. An entry of a shape that is not known is an error: a guess could acquit an
/// affected kernel.
pub fn parse(text: &str) -> Result<Record, String> {
    let File { cve_metadata: Metadata { cve_id, state }, containers } = read(text)?;
    if state != "PUBLISHED" {
        return Err(format!("{cve_id} is {state}"));
    }
    let mut record = Record { cve: cve_id, ..Record::default() };
    for product in &containers.cna.affected {
        if product.product != "Linux" {
            return Err(format!("a product other than Linux: {}", product.product));
        }
        for entry in &product.versions {
            take(&mut record, entry).ok_or_else(|| {
                let shown = serde_json::to_string(entry).unwrap_or_default();
                format!("an entry of unknown shape: {shown}")
            })?;
        }
    }
    record.fixed.sort_unstable();
    record.spans.sort_unstable();
    if record.since.is_none() && record.spans.is_empty() {
        return Err("no affected version".to_owned());
    }
    let doubled = record.fixed.windows(2).any(|pair| branch(pair[0]) == branch(pair[1]));
    if doubled { Err("two fixes on one branch".to_owned()) } else { Ok(record) }
}

fn take(record: &mut Record, entry: &Entry) -> Option<()> {
    let (less, up_to) = (entry.less_than.as_deref(), entry.less_than_or_equal.as_deref());
    match (entry.status.as_str(), entry.version_type.as_deref(), less, up_to) {
        ("affected", Some("git"), fix, None) => {
            note(&mut record.introduced, &entry.version);
            if let Some(fix) = fix {
                note(&mut record.commits, fix);
            }
            Some(())
        }
        ("affected", Some("semver"), Some(fixed), None) => {
            record.spans.push((version(&entry.version)?, version(fixed)?));
            Some(())
        }
        ("affected", None, None, None) => set(&mut record.since, version(&entry.version)?),
        // Repeats `since`.
        ("unaffected", Some("semver"), Some(since), None) if entry.version == "0" => {
            (version(since) == record.since).then_some(())
        }
        ("unaffected", Some("semver"), None, Some(branch_name)) => {
            let fixed = version(&entry.version)?;
            record.fixed.push(fixed);
            let (major, minor) = branch(fixed);
            (branch_name == format!("{major}.{minor}.*")).then_some(())
        }
        ("unaffected", Some("original_commit_for_fix"), None, Some("*")) => {
            set(&mut record.mainline, version(&entry.version)?)
        }
        _ => None,
    }
}

fn set(place: &mut Option<Version>, value: Version) -> Option<()> {
    let is_first = place.is_none();
    *place = Some(value);
    is_first.then_some(())
}

/// Twelve digits of a commit, once.
fn note(list: &mut Vec<String>, commit: &str) {
    let short: String = commit.chars().take(12).collect();
    if !list.contains(&short) {
        list.push(short);
    }
}

fn branch(version: Version) -> (u32, u32) {
    (version.0, version.1)
}

fn version(text: &str) -> Option<Version> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    let version = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    parts.next().is_none().then_some(version)
}
