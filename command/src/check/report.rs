//! The result of `sigward check`, as text and as JSON.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use sigward::config::Config;
use sigward::verdict::{Compiler, Standing, Verdict};

use crate::machine::Machine;
use crate::plan::{self, PlanReport};
use crate::probe::ProbeReport;
use crate::quirks::judge::{self, Finding, State};
use crate::quirks::model::{Harm, Layer, Reach};
use crate::quirks::{self};

/// The answer for the whole machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overall {
    /// At least one row applies that anyone can meet.
    Affected,
    NotAffected,
    /// The texts do not decide it.
    Unknown,
    /// An emulator stands between.
    NoEvidence,
}

impl Overall {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Affected => "affected",
            Self::NotAffected => "not affected",
            Self::Unknown => "unknown",
            Self::NoEvidence => "no evidence",
        }
    }
}

/// What `--json` prints. The names are an interface: add, do not rename. Those from `standing`
/// to `reasons` are about the defect that the library would act on.
#[derive(Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent fact")]
pub struct CheckReport {
    pub format_version: u32,
    pub overall: Overall,
    pub standing: &'static str,
    pub confidence: &'static str,
    pub defect: Option<&'static str>,
    summary: Option<&'static str>,
    source: Option<&'static str>,
    upstream: Option<String>,
    upstream_from: Option<&'static str>,
    compiler: Option<String>,
    in_range: bool,
    preempt: bool,
    gvisor: bool,
    pub auto_acts: bool,
    only_reduces: bool,
    reasons: Vec<String>,
    pub machine: MachineReport,
    pub rows: Vec<RowReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<ProbeReport>,
    plan: Option<PlanReport>,
    /// Seconds since 1970.
    pub time: u64,
}

/// Which machine was judged.
#[derive(Serialize)]
pub struct MachineReport {
    pub system: &'static str,
    pub release: String,
    /// The upstream version by which the rows were judged.
    version: Option<String>,
    vendor: Option<&'static str>,
    pub arch: &'static str,
    pub libc: String,
    pub emulator: Option<&'static str>,
    /// Whether only its texts are known.
    elsewhere: bool,
}

/// One row of the table.
#[derive(Clone, Serialize)]
pub struct RowReport {
    pub id: &'static str,
    pub layer: &'static str,
    pub cve: Option<&'static str>,
    pub state: &'static str,
    /// The state in words.
    pub says: String,
    /// The first good version of the kernel's own branch.
    fixed_in: Option<String>,
    /// Conditions of which nothing is known.
    pub conditions: Vec<String>,
    /// The programs that alone can meet it.
    only: Option<&'static str>,
    summary: &'static str,
    harm: &'static str,
    pub reach: &'static str,
    /// What sigward does, or what stays.
    how: &'static str,
    proof: &'static str,
    confidence: &'static str,
    /// Whether it counts for the answer and the exit code.
    pub alarms: bool,
    /// Whether only another kernel helps, and what is lost is not slight.
    #[serde(skip)]
    pub grave: bool,
    #[serde(skip)]
    place: Part,
}

/// The part of the text that a row belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Here,
    Programs,
    Conditions,
    Undecided,
    Rest,
}

impl RowReport {
    fn of(finding: &Finding, machine: &Machine) -> Self {
        let row = finding.row;
        let affected = finding.state.is_affected();
        let place = match &finding.state {
            // An emulator that is not here concerns nobody, and a kernel's texts say nothing about
            // a libc.
            _ if matches!(row.layer, Layer::Emulator | Layer::Libc) && !finding.open.is_empty() => {
                Part::Rest
            }
            _ if affected && !finding.open.is_empty() => Part::Conditions,
            _ if affected && judge::only(row).is_some() => Part::Programs,
            _ if affected => Part::Here,
            State::NotListed(_) | State::Unsure(_) => Part::Undecided,
            _ => Part::Rest,
        };
        let how = match row.reach {
            Reach::Cured(how) | Reach::Reduced(how) => how,
            Reach::Told => row.instead,
        };
        Self {
            id: row.id,
            layer: row.layer.name(),
            cve: quirks::cve(row),
            state: finding.state.word(),
            says: judge::words(finding, &machine.kernel),
            fixed_in: match finding.state {
                State::Affected(fixed) => fixed.map(|version| version.to_string()),
                _ => None,
            },
            conditions: finding.open.iter().map(ToString::to_string).collect(),
            only: judge::only(row),
            summary: row.summary,
            harm: row.harm.name(),
            reach: row.reach.name(),
            how,
            proof: row.proof.name(),
            confidence: row.confidence.as_str(),
            alarms: finding.alarms(),
            grave: finding.alarms() && row.harm != Harm::Slight && row.reach == Reach::Told,
            place,
        }
    }

    fn text(&self) -> String {
        let how = if self.how.is_empty() { String::new() } else { format!(": {}", self.how) };
        let only = self.only.map_or(String::new(), |only| format!("; only {only}"));
        format!(
            "  {}: {}\n      {}{only} [{}{how}]\n",
            self.id, self.says, self.summary, self.reach
        )
    }
}

impl CheckReport {
    pub fn of(
        machine: &Machine,
        verdict: &Verdict,
        findings: &[Finding],
        mut reasons: Vec<String>,
        plan: Option<PlanReport>,
        all: bool,
        probe: Option<ProbeReport>,
    ) -> Self {
        let judged = verdict.quirk.and_then(|quirk| quirks::find(quirk.id));
        let auto_acts = match plan {
            Some(_) => plan::acts(&Config::DEFAULT, || *verdict),
            None => verdict.acts() && !verdict.gvisor,
        };
        let shown = findings.iter().filter(|found| all || found.state != State::Elsewhere);
        let rows: Vec<_> = shown.map(|found| RowReport::of(found, machine)).collect();
        let kernel = &machine.kernel;
        let notice = verdict.quirk.and_then(|quirk| judge::notice(quirk.id, kernel));
        reasons.extend(notice.map(str::to_owned));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            format_version: 1,
            overall: overall(machine, verdict, findings),
            standing: verdict.standing.as_str(),
            confidence: verdict.confidence.as_str(),
            defect: verdict.quirk.map(|quirk| quirk.id),
            summary: judged.map(|row| row.summary),
            source: judged.map(|row| row.source),
            upstream: verdict.upstream.map(|(version, _)| version.to_string()),
            upstream_from: verdict.upstream.map(|(_, text)| text.as_str()),
            compiler: verdict.compiler.map(|compiler| match compiler {
                Compiler::Gcc(major) => format!("GCC {major}"),
                Compiler::Clang => "Clang".to_owned(),
            }),
            in_range: verdict.in_range,
            preempt: verdict.preempt,
            gvisor: verdict.gvisor,
            auto_acts,
            only_reduces: verdict.only_reduces(),
            reasons,
            machine: MachineReport {
                system: kernel.system.name(),
                release: kernel.release.clone(),
                version: kernel.version.map(|(version, _)| version.to_string()),
                vendor: kernel.origin.vendor(),
                arch: machine.arch.name(),
                libc: machine.libc(),
                emulator: machine.emulator.map(crate::machine::Emulator::name),
                elsewhere: machine.here.is_none(),
            },
            rows,
            probe,
            plan,
            time: now.map_or(0, |time| time.as_secs()),
        }
    }

    /// The rows that count for the answer.
    pub fn alarms(&self) -> impl Iterator<Item = &RowReport> {
        self.rows.iter().filter(|row| row.alarms)
    }

    /// The first line.
    pub fn headline(&self) -> String {
        let all = self.alarms().count();
        let told = self.alarms().filter(|row| row.reach == Reach::Told.name()).count();
        let machine = &self.machine;
        match self.overall {
            Overall::Affected => {
                let helped = all - told;
                let count = if all == 1 {
                    "1 listed defect is"
                } else {
                    &format!("{all} listed defects are")
                };
                format!("affected: {count} here; sigward helps against {helped}")
            }
            Overall::NotAffected => {
                "not affected by any listed defect that every program can meet".to_owned()
            }
            Overall::Unknown => "unknown: the texts do not decide it".to_owned(),
            Overall::NoEvidence => {
                let emulator = machine.emulator.unwrap_or("an emulator");
                format!("no evidence: this is {emulator}, which gives no evidence about a kernel")
            }
        }
    }

    pub fn text(&self) -> String {
        let machine = &self.machine;
        let detail = |text: &str| if text.is_empty() { String::new() } else { format!(", {text}") };
        let version = match (&machine.version, machine.vendor) {
            (Some(version), Some(vendor)) => format!(" (upstream {version}, from {vendor})"),
            (Some(version), None) if **version != *machine.release => {
                format!(" (upstream {version})")
            }
            _ => String::new(),
        };
        let mut text = format!(
            "{}\nkernel: {} {}{version}, {}{}\n",
            self.headline(),
            machine.system,
            machine.release,
            machine.arch,
            detail(&machine.libc)
        );
        if let (Some(defect), Some(summary)) = (self.defect, self.summary) {
            let (standing, confidence) = (self.standing, self.confidence);
            let _ =
                writeln!(text, "judged: {defect}: {standing} ({confidence} confidence): {summary}");
        } else {
            let _ = writeln!(text, "judged: {} ({} confidence)", self.standing, self.confidence);
        }
        text += "because:\n";
        text.extend(self.reasons.iter().map(|reason| format!("  - {reason}\n")));
        let mut parts = vec![
            (Part::Here, "here:"),
            (Part::Programs, "here, for some programs:"),
            (Part::Conditions, "under a condition:"),
            (Part::Undecided, "not decided:"),
        ];
        // Everything else is here only if it was asked for.
        if self.rows.iter().any(|row| row.state == State::Elsewhere.word()) {
            parts.push((Part::Rest, "the rest of the table:"));
        }
        for (part, title) in parts {
            let rows: Vec<_> = self.rows.iter().filter(|row| row.place == part).collect();
            if !rows.is_empty() {
                let _ = writeln!(text, "{title}");
            }
            if part == Part::Undecided {
                text += &undecided(&rows);
            } else {
                text.extend(rows.into_iter().map(RowReport::text));
            }
        }
        let fixed = self.rows.iter().filter(|row| row.state == "fixed").count();
        let _ = writeln!(text, "fixed in this kernel: {fixed} (--all lists every row)");
        text += match (self.auto_acts, self.only_reduces) {
            (true, true) => {
                "SIGWARD=auto hardens programs here; the risk is reduced, not removed.\n"
            }
            (true, false) => "SIGWARD=auto hardens programs here.\n",
            (false, _) => "SIGWARD=auto does nothing here.\n",
        };
        if let Some(probe) = &self.probe {
            let _ = write!(text, "probe:\n{}", probe.text());
        }
        if let Some(plan) = &self.plan {
            let _ = write!(text, "plan, with the SIGWARD_* variables set here:\n{}", plan.text());
        }
        text
    }
}

/// Rows that are open for the same reason, in one line: a vendor's kernel has a dozen.
fn undecided(rows: &[&RowReport]) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in rows {
        let says = row.says.split(" (concerns it").next().unwrap_or("");
        match groups.iter_mut().find(|(known, _)| *known == says) {
            Some((_, ids)) => ids.push(row.id),
            None => groups.push((says, vec![row.id])),
        }
    }
    let line = |(says, ids): &(&str, Vec<&str>)| format!("  {}: {says}\n", ids.join(", "));
    groups.iter().map(line).collect()
}

fn overall(machine: &Machine, verdict: &Verdict, findings: &[Finding]) -> Overall {
    let unreadable = machine.kernel.version.is_none();
    if findings.iter().any(Finding::alarms) {
        Overall::Affected
    } else if machine.emulator.is_some() {
        Overall::NoEvidence
    } else if unreadable || verdict.standing != Standing::NotAffected {
        // Also where the library would act, but the table does not know.
        Overall::Unknown
    } else {
        Overall::NotAffected
    }
}
