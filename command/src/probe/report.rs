//! The result of the probe, as text and as JSON.

use serde::Serialize;
use sigward::config::Config;
use sigward::quirks::{ALTSTACK_SIZE, FREEBSD_RESTART_R10, LINUX_SIGFRAME_FPU};
use sigward::verdict::{Standing, Verdict};

use super::registers::{Loss, Trial};
use super::room::Room;
use super::waits::Waits;
use crate::exit::Exit;
use crate::plan;

/// The row of a kernel that tells too small a frame.
const FRAME: &str =
    if cfg!(target_arch = "riscv64") { "riscv-minsigstksz" } else { ALTSTACK_SIZE.id };

/// What `--json` prints. The names are an interface: add, do not rename.
#[derive(Serialize)]
pub struct ProbeReport {
    /// The defects that were seen.
    seen: Vec<&'static str>,
    /// Whether every part ran to its end.
    complete: bool,
    /// `linux-sigframe-fpu`.
    registers: Registers,
    /// `freebsd-restart-r10`.
    waits: Waits,
    /// `altstack-size`, and whether the kernel tells the truth about it.
    frame: Room,
    /// The registers after the first loss.
    losses: Vec<Loss>,
    /// Whether the library was in the process that took the signals.
    hardened: bool,
    /// What stands between us and the kernel: then a clean result is no evidence.
    emulator: Option<&'static str>,
    check: CheckResult,
}

#[derive(Serialize)]
struct Registers {
    faulting: Trial,
    locked: Trial,
}

/// What `sigward check` says about the same kernel.
#[derive(Serialize)]
struct CheckResult {
    standing: &'static str,
    confidence: &'static str,
    defect: Option<&'static str>,
    auto_acts: bool,
    comparison: String,
}

impl ProbeReport {
    pub fn new(
        (mut faulting, mut locked): (Trial, Trial),
        waits: Waits,
        frame: Room,
        hardened: bool,
        emulator: Option<&'static str>,
        verdict: &Verdict,
    ) -> Self {
        let mut seen = Vec::new();
        if faulting.corrupted + locked.corrupted > 0 {
            seen.push(LINUX_SIGFRAME_FPU.id);
        }
        if waits.failed > 0 {
            seen.push(FREEBSD_RESTART_R10.id);
        }
        if frame.is_too_small() {
            seen.push(FRAME);
        }
        let troubles = [&faulting.trouble, &locked.trouble, &waits.trouble, &frame.trouble];
        let mut losses = std::mem::take(&mut faulting.losses);
        losses.append(&mut locked.losses);
        Self {
            complete: troubles.iter().all(|trouble| trouble.is_none()),
            check: CheckResult::new(verdict, &seen),
            seen,
            registers: Registers { faulting, locked },
            waits,
            frame,
            losses,
            hardened,
            emulator,
        }
    }

    /// The ids of the defects that were seen.
    pub fn seen(&self) -> &[&'static str] {
        &self.seen
    }

    pub fn exit(&self) -> Exit {
        match (self.seen.is_empty(), self.complete) {
            (false, _) => Exit::Affected,
            _ if self.emulator.is_some() => Exit::Unknown,
            (true, true) => Exit::Success,
            (true, false) => Exit::Unknown,
        }
    }

    pub fn text(&self) -> String {
        let Registers { faulting, locked } = &self.registers;
        let mut lines = Vec::new();
        if let Some(emulator) = self.emulator {
            lines.push(format!("no evidence: this is {emulator}; what follows is about that"));
        }
        let under = if self.hardened { ", under the library" } else { "" };
        lines.push(format!("{}: vector registers after a signal{under}", LINUX_SIGFRAME_FPU.id));
        lines.extend(trial("stack given back", faulting, "this kernel HAS the defect"));
        lines.extend(trial(
            "stack locked",
            locked,
            "this kernel HAS the defect, and loses registers without a page fault: \
             sigward reduces the risk, only another kernel removes it",
        ));
        lines.extend(self.losses.iter().map(|loss| format!("    the first loss: {loss}")));
        let waits = &self.waits;
        lines.push(format!("{}: wait4, restarted", FREEBSD_RESTART_R10.id));
        lines.push(format!("  {} waits, {} stops and signals", waits.calls, waits.interruptions));
        let failed = waits.failed;
        let how = if failed == 0 {
            not_seen(waits.seconds)
        } else {
            format!(
                "this kernel HAS the defect (EFAULT {}, EINVAL {}, children lost {})",
                waits.efault, waits.einval, waits.lost
            )
        };
        if waits.calls > 0 {
            lines.push(format!("    failed {failed} of {}: {how}", waits.calls));
        }
        lines.extend(not_all(waits.trouble.as_deref()));
        let Room { depth, told, by_kernel, .. } = self.frame;
        let by = if by_kernel { "the kernel" } else { "sigward" };
        lines.push(format!("{FRAME}: the size of a signal frame"));
        if depth > 0 {
            let how = if self.frame.is_too_small() { "TOO FEW" } else { "enough" };
            lines.push(format!("  a frame takes {depth} bytes; {by} says {told}, which is {how}"));
        }
        lines.extend(not_all(self.frame.trouble.as_deref()));
        lines.push(self.check.comparison.clone());
        lines.join("\n") + "\n"
    }
}

fn trial(name: &str, result: &Trial, seen: &str) -> Vec<String> {
    let Trial { deliveries, faulted, corrupted, .. } = *result;
    let mut lines = vec![format!("  {name}: {deliveries} deliveries, {faulted} frames faulted")];
    let how = if corrupted == 0 { not_seen(result.seconds) } else { seen.to_owned() };
    if deliveries > 0 {
        lines.push(format!("    corrupted {corrupted} of {deliveries}: {how}"));
    }
    lines.extend(not_all(result.trouble.as_deref()));
    lines
}

fn not_seen(seconds: f64) -> String {
    format!("not seen in {seconds:.1} seconds (which is no proof)")
}

fn not_all(trouble: Option<&str>) -> Option<String> {
    trouble.map(|trouble| format!("    did not run to its end: {trouble}"))
}

impl CheckResult {
    fn new(verdict: &Verdict, seen: &[&str]) -> Self {
        let says = format!(
            "sigward check calls this kernel {} ({} confidence)",
            verdict.standing.as_str(),
            verdict.confidence.as_str()
        );
        let affected = verdict.standing == Standing::Affected;
        let judged = verdict.quirk.map(|quirk| quirk.id);
        let unexpected: Vec<_> =
            seen.iter().copied().filter(|id| !affected || judged != Some(id)).collect();
        let then = if !unexpected.is_empty() {
            format!(
                ", judging by its texts; what was seen counts more: harden programs with --mode on{}",
                if unexpected.contains(&FREEBSD_RESTART_R10.id) {
                    " --set SIGWARD_WAIT=two-phase"
                } else {
                    ""
                }
            )
        } else if !seen.is_empty() {
            ", which agrees".to_owned()
        } else {
            match verdict.standing {
                Standing::Affected => {
                    ": trust that; a defect may exist without being seen".to_owned()
                }
                Standing::NotAffected => ", which agrees".to_owned(),
                Standing::Unknown => "; a probe that saw nothing does not decide it".to_owned(),
            }
        };
        Self {
            standing: verdict.standing.as_str(),
            confidence: verdict.confidence.as_str(),
            defect: judged,
            auto_acts: plan::acts(&Config::DEFAULT, || *verdict),
            comparison: format!("{says}{then}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigward::verdict::{CpuTraits, KernelTexts, judge};

    fn comparison(release: &str, seen: &[&str]) -> String {
        let verdict = judge(&KernelTexts {
            sysname: b"Linux",
            release: release.as_bytes(),
            version: b"#1 SMP",
            machine: b"x86_64",
            proc_version: Some(b"Linux version 5.3.5 (a@b) (gcc version 9.2.1 20190827) #1"),
            version_signature: None,
            cpu: CpuTraits::MODERN,
        });
        CheckResult::new(&verdict, seen).comparison
    }

    #[test]
    fn what_is_seen_weighs_more_than_texts_and_what_is_not_seen_weighs_less() {
        let (registers, waits) = (LINUX_SIGFRAME_FPU.id, FREEBSD_RESTART_R10.id);
        for (release, seen, says) in [
            ("5.3.5", &[registers][..], "kernel affected (high confidence), which agrees."),
            ("5.3.5", &[], "kernel affected (high confidence): trust that; "),
            ("5.3.5", &[waits], "counts more: harden programs with --mode on --set SIGWARD_WAIT="),
            (
                "6.1.0",
                &[registers],
                "not affected (high confidence), judging by its texts; what was seen",
            ),
            ("6.1.0", &[], "not affected (high confidence), which agrees."),
        ] {
            let text = comparison(release, seen);
            assert!(text.contains(says), "{release} {seen:?}: {text}");
        }
    }
}
