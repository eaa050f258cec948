//! `sigward check`: the verdict, its reasons, and what follows from it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::Args;
use serde::Serialize;
use sigward::config::Config;
use sigward::quirks;
use sigward::verdict::{Compiler, Standing, Verdict};

use super::environment::environ;
use super::exit::Exit;
use super::failure::Failure;
use super::kernel::KernelOptions;
use super::output;
use super::plan::{self, PlanReport};

/// Say whether this kernel is affected, and why
///
/// Also shows what the library would do in a program here under the SIGWARD_* variables of the
/// environment, each part with its reason. With --release, judges another machine by its texts (and
/// assumes that its processor has AVX); without, the running kernel.
#[derive(Args)]
#[command(after_help = "Examples:
  sigward check
  sigward check --json --release 5.3.1-1-generic    another machine")]
pub struct Check {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    kernel: KernelOptions,
}

impl Check {
    pub fn execute(&self) -> Result<Exit, Failure> {
        let verdict = self.kernel.judge();
        let reasons = self.kernel.reasons(&verdict);
        let environ = environ();
        let report = CheckReport::of(&verdict, reasons, self.plan(verdict, &environ));
        output::print(&report, self.json, CheckReport::text)?;
        Ok(match verdict.standing {
            Standing::NotAffected => Exit::Success,
            Standing::Affected => Exit::Affected,
            Standing::Unknown => Exit::Unknown,
        })
    }

    /// What the library would do on Linux; `None` for another system.
    fn plan(&self, verdict: Verdict, environ: &[OsString]) -> Option<PlanReport> {
        let (config, bad) = plan::settings(environ.iter().map(|entry| entry.as_bytes()));
        if !self.kernel.is_given() {
            Some(PlanReport::of_next_program(&config, bad, verdict))
        } else if self.kernel.is_linux() {
            Some(PlanReport::elsewhere(&config, bad, verdict))
        } else {
            None
        }
    }
}

/// What `--json` prints. The names are an interface: add, do not rename.
#[derive(Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent fact")]
struct CheckReport {
    standing: &'static str,
    confidence: &'static str,
    defect: Option<&'static str>,
    summary: Option<&'static str>,
    source: Option<&'static str>,
    upstream: Option<String>,
    upstream_from: Option<&'static str>,
    compiler: Option<String>,
    in_range: bool,
    preempt: bool,
    gvisor: bool,
    auto_acts: bool,
    only_reduces: bool,
    reasons: Vec<String>,
    plan: Option<PlanReport>,
}

impl CheckReport {
    fn of(verdict: &Verdict, reasons: Vec<String>, plan: Option<PlanReport>) -> Self {
        let account = verdict.quirk.and_then(quirks::account);
        let auto_acts = match plan {
            Some(_) => plan::acts(&Config::DEFAULT, || *verdict),
            None => verdict.acts(),
        };
        Self {
            standing: verdict.standing.as_str(),
            confidence: verdict.confidence.as_str(),
            defect: verdict.quirk.map(|quirk| quirk.id),
            summary: account.map(|account| account.summary),
            source: account.map(|account| account.source),
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
            plan,
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![format!("{} ({} confidence)", self.standing, self.confidence)];
        if let (Some(defect), Some(summary)) = (self.defect, self.summary) {
            lines.push(format!("judged: {defect}: {summary}"));
        }
        lines.push("because:".to_owned());
        lines.extend(self.reasons.iter().map(|reason| format!("  - {reason}")));
        lines.push(if self.auto_acts && self.only_reduces {
            "SIGWARD=auto hardens programs here; the risk is reduced, not removed.".to_owned()
        } else if self.auto_acts {
            "SIGWARD=auto hardens programs here.".to_owned()
        } else {
            "SIGWARD=auto does nothing here.".to_owned()
        });
        let plan = self.plan.as_ref().map_or(String::new(), |plan| {
            format!("plan, with the SIGWARD_* variables set here:\n{}", plan.text())
        });
        lines.join("\n") + "\n" + &plan
    }
}
