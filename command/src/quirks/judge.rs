//! Where a machine stands with each row.

use sigward::quirks::Version;
use sigward::verdict::{Standing, Step, Text, Verdict};

use super::model::{Layer, Need, Row, Versions, Whom};
use super::ranges::{Place, Ranges};
use super::{all, cve, find, record};
use crate::machine::{Holds, Kernel, Machine, Origin};

/// The answer for one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Affected; fixed on this branch by the version, if one is known.
    Affected(Option<Version>),
    /// Affected by its version, and no fix is listed for its branch. The next version with one.
    NoFixListed(Option<Version>),
    /// The version has the fix: it came with this one.
    Fixed(Version),
    /// Older than the defect, which came with this version.
    Before(Version),
    /// Not affected, for the reason given.
    Not(String),
    /// A vendor's kernel, whose fixes no record lists.
    NotListed(String),
    /// The texts or the table do not decide it.
    Unsure(String),
    /// A matter of programs, not of the machine.
    ByProgram,
    /// An emulator stands between: nothing here says anything about the kernel.
    NoEvidence,
    /// Another system, another processor, or a feature that is not here.
    Elsewhere,
    /// A probe has just seen it.
    Seen,
}

impl State {
    /// The word for machines.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Affected(_) => "affected",
            Self::NoFixListed(_) => "no-fix-listed",
            Self::Fixed(_) => "fixed",
            Self::Before(_) => "before",
            Self::Not(_) => "not-affected",
            Self::NotListed(_) => "not-listed",
            Self::Unsure(_) => "unsure",
            Self::ByProgram => "by-program",
            Self::NoEvidence => "no-evidence",
            Self::Elsewhere => "elsewhere",
            Self::Seen => "seen",
        }
    }

    /// Whether the machine has the defect, as far as the row knows.
    pub const fn is_affected(&self) -> bool {
        matches!(self, Self::Affected(_) | Self::NoFixListed(_) | Self::Seen)
    }
}

/// A row, and where the machine stands.
pub struct Finding {
    pub row: &'static Row,
    pub state: State,
    /// Conditions of which nothing is known.
    pub open: Vec<Need>,
}

impl Finding {
    /// Whether the owner must hear of it: the defect is here, no condition is open, and anyone
    /// can meet it.
    pub fn alarms(&self) -> bool {
        self.row.alarms() && self.state.is_affected() && self.open.is_empty()
    }
}

/// A vendor's own notice about one of its kernels.
struct Notice {
    row: &'static str,
    /// In the release.
    mark: &'static str,
    series: (u32, u32),
    says: &'static str,
}

const NOTICES: &[Notice] = &[Notice {
    row: "linux-sigframe-fpu",
    mark: ".el8",
    series: (4, 18),
    says: "the vendor took the broken change into 4.18 and fixed it (RHSA-2020:4431), and builds \
           by GCC 8, whose code does not show the defect",
}];

/// Where the machine stands with every row. `verdict` is the library's own.
pub fn judge(machine: &Machine, verdict: &Verdict) -> Vec<Finding> {
    all().map(|row| finding(row, machine, verdict)).collect()
}

fn finding(row: &'static Row, machine: &Machine, verdict: &Verdict) -> Finding {
    let mut open = Vec::new();
    let kernel = &machine.kernel;
    let same_arch = row.arches.is_empty() || row.arches.contains(&machine.arch);
    // An emulator's kernel is not the one that it shows; its own rows name it.
    let concerns = match row.layer {
        Layer::Emulator => true,
        _ => row.system == kernel.system,
    };
    if !concerns || !same_arch {
        return Finding { row, state: State::Elsewhere, open };
    }
    let hidden = machine.emulator.is_some_and(|emulator| !emulator.is_on_that_kernel());
    if row.layer == Layer::Kernel && hidden {
        return Finding { row, state: State::NoEvidence, open };
    }
    for need in row.needs {
        match machine.meets(need) {
            Holds::Yes => {}
            Holds::No => return Finding { row, state: State::Elsewhere, open: Vec::new() },
            Holds::Open => open.push(*need),
        }
    }
    Finding { row, state: state(row, machine, verdict), open }
}

/// Where a kernel stands with the row of this id, by its record alone.
pub fn of_kernel(id: &str, kernel: &Kernel) -> State {
    let record = find(id).and_then(cve).and_then(record);
    record.map_or(State::Elsewhere, |record| placed(&record.ranges, kernel, false))
}

/// What the vendor of this kernel says of a row.
pub fn notice(row: &str, kernel: &Kernel) -> Option<&'static str> {
    let series = kernel.version.map(|(version, _)| (version.major, version.minor));
    let fits = |notice: &&Notice| {
        row == notice.row && kernel.release.contains(notice.mark) && series == Some(notice.series)
    };
    NOTICES.iter().find(fits).map(|notice| notice.says)
}

fn state(row: &Row, machine: &Machine, verdict: &Verdict) -> State {
    let kernel = &machine.kernel;
    if let Some(says) = notice(row.id, kernel) {
        return State::Not(says.to_owned());
    }
    match row.versions {
        Versions::Acted(quirk) if verdict.quirk == Some(quirk) => acted(verdict, kernel),
        Versions::Acted(_) => State::Elsewhere,
        Versions::Record(cve) => match record(cve) {
            Some(record) => placed(&record.ranges, kernel, false),
            None => State::Unsure("its record is missing".to_owned()),
        },
        Versions::Sourced(ranges) => placed(ranges, kernel, false),
        Versions::Inferred(ranges) => placed(ranges, kernel, true),
        Versions::Every if row.layer == Layer::Runtime => State::ByProgram,
        Versions::Every => State::Affected(None),
        Versions::Unknown => State::Unsure("the versions are known by date only".to_owned()),
    }
}

/// The library's own judgement, which knows vendors and compilers.
fn acted(verdict: &Verdict, kernel: &Kernel) -> State {
    // The library acts on a kernel that may have the defect; a table must not call it affected.
    let known = kernel.version.is_none_or(|(_, text)| text != Text::UnameRelease);
    if let (true, false, Origin::Keeps(vendor) | Origin::Reworks(vendor)) =
        (verdict.standing == Standing::Affected, known, kernel.origin)
    {
        return State::NotListed(format!(
            "{vendor} keeps this number while adding fixes; /proc/version_signature would tell, \
             where there is one"
        ));
    }
    let fixed = verdict.argument.iter().find_map(|step| match step {
        Step::InRange(fixed) => Some(fixed),
        _ => None,
    });
    let reason = || verdict.argument.iter().last().map_or(String::new(), |step| step.to_string());
    match verdict.standing {
        Standing::Affected => State::Affected(fixed),
        Standing::NotAffected => State::Not(reason()),
        Standing::Unknown => State::Unsure(reason()),
    }
}

fn placed(ranges: &Ranges, kernel: &Kernel, inferred: bool) -> State {
    let Some((version, _)) = kernel.version else {
        return State::Unsure("the release is not a version number".to_owned());
    };
    let place = ranges.place(version, kernel.candidate);
    let listed = match place {
        Place::Fixed(by) => return State::Fixed(by),
        Place::Before(since) => {
            return match kernel.origin {
                Origin::Reworks(vendor) => State::NotListed(format!(
                    "{vendor} adds changes to {version}, and may have taken this one"
                )),
                _ => State::Before(since),
            };
        }
        Place::Outside => match kernel.origin {
            Origin::Reworks(vendor) => {
                return State::NotListed(format!("{vendor} adds changes to {version}"));
            }
            _ => return State::Not(format!("{version} is none of the affected versions")),
        },
        Place::Unsure if kernel.candidate => {
            return State::Unsure("a release candidate may lack the fix".to_owned());
        }
        Place::Unsure => {
            return State::Unsure(format!(
                "{}.{}.y has the fix, but no source gives its patch level",
                version.major, version.minor
            ));
        }
        Place::Affected(fixed) => State::Affected(Some(fixed)),
        Place::NoFixListed(next) => State::NoFixListed(next),
    };
    match kernel.origin {
        Origin::Keeps(vendor) | Origin::Reworks(vendor) => State::NotListed(format!(
            "its base {version} has the defect, but {vendor} adds fixes that the records do not \
             list: ask the vendor"
        )),
        _ if inferred => {
            State::Unsure(format!("{version} seems to have it, but the range is inferred"))
        }
        _ => listed,
    }
}

/// How the kernel's branch is named.
pub fn branch(version: Version) -> String {
    format!("{}.{}.y", version.major, version.minor)
}

/// Where the machine stands, in words.
pub fn words(finding: &Finding, kernel: &Kernel) -> String {
    let of_vendor = match kernel.origin {
        Origin::Follows(vendor) if finding.row.layer == Layer::Kernel => {
            format!(" (by its number; {vendor} may have taken the fix earlier)")
        }
        _ => String::new(),
    };
    let here = kernel.version.map_or("this branch".to_owned(), |(version, _)| branch(version));
    let text = match &finding.state {
        State::Affected(Some(fixed)) => format!("affected, fixed in {fixed}{of_vendor}"),
        State::Affected(None) => "affected".to_owned(),
        State::NoFixListed(Some(next)) => {
            format!("affected: no fix listed for {here}; the next version with one is {next}")
                + &of_vendor
        }
        State::NoFixListed(None) => format!("affected: no fix listed for {here}{of_vendor}"),
        State::Fixed(by) => format!("fixed by {by}"),
        State::Before(since) => format!("not affected: it came with {since}"),
        State::Not(why) => format!("not affected: {why}"),
        State::NotListed(why) => format!("not listed, which is not \"affected\": {why}"),
        State::Unsure(why) => format!("undecided: {why}"),
        State::ByProgram => "depends on the program, not on the machine".to_owned(),
        State::NoEvidence => "no evidence: an emulator stands between".to_owned(),
        State::Elsewhere => "does not concern this machine".to_owned(),
        State::Seen => "SEEN here by the probe, which counts more than any version".to_owned(),
    };
    let open: Vec<String> = finding.open.iter().map(ToString::to_string).collect();
    match (finding.state.is_affected(), open.is_empty()) {
        (_, true) => text,
        (true, false) => format!("applies if {}: {text}", open.join(" and ")),
        (false, false) => format!("{text} (concerns it only if {})", open.join(" and ")),
    }
}

/// Only programs of this kind meet it; `None` if anyone does.
pub fn only(row: &Row) -> Option<&'static str> {
    match row.whom {
        Whom::Everyone => None,
        Whom::FrameMakers => Some("checkpoint/restore and programs that write frames by hand"),
        Whom::Programs(which) => Some(which),
    }
}
