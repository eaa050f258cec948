//! The judgement itself: one function for each operating system.

use super::answer::{Standing, Verdict};
use super::argument::{Compiler, Step, Text};
use super::build::{compiler, fixed_build, has_vendor_suffix, preemptible};
use super::scan::find;
use super::texts::KernelTexts;
use super::version::{faked, in_range, parse_version, upstream};
use crate::quirks::{self, Arch, BuiltBy, Confidence, FREEBSD_RESTART_R10, LINUX_SIGFRAME_FPU};

/// Whether `/proc/version` and `/proc/version_signature` can change the
/// verdict. True only for a Linux release in an affected range, or for one that
/// `setarch --uname-2.6` made from such a release.
#[must_use]
pub fn needs_proc(release: &[u8]) -> bool {
    parse_version(release).is_some_and(|version| in_range(version) || faked(version))
}

/// Judges the defect that the operating system is known for:
/// `linux-sigframe-fpu` or `freebsd-restart-r10`. Any texts give a verdict.
#[must_use]
pub fn judge(texts: &KernelTexts<'_>) -> Verdict {
    match texts.sysname {
        b"Linux" => judge_linux(texts),
        b"FreeBSD" => judge_freebsd(texts),
        _ => Verdict::new(None).concluded(Standing::Unknown, Confidence::Low, Step::OtherSystem),
    }
}

/// Judges the running kernel, assuming the operating system that this was built
/// for.
#[must_use]
pub fn judge_running(texts: &KernelTexts<'_>) -> Verdict {
    if cfg!(target_os = "linux") { judge_linux(texts) } else { judge(texts) }
}

fn judge_linux(texts: &KernelTexts<'_>) -> Verdict {
    let mut verdict = Verdict::new(Some(&LINUX_SIGFRAME_FPU));
    verdict.preempt = preemptible(texts.version);
    if is_gvisor(texts) {
        verdict.gvisor = true;
        return verdict.concluded(Standing::NotAffected, Confidence::High, Step::Gvisor);
    }
    if !runs_on(LINUX_SIGFRAME_FPU.arch, texts) {
        return verdict.concluded(Standing::NotAffected, Confidence::High, Step::OtherProcessor);
    }
    let Some(release) = parse_version(texts.release) else {
        return verdict.concluded(Standing::Unknown, Confidence::Low, Step::ReleaseUnreadable);
    };
    if !needs_proc(texts.release) {
        verdict.upstream = Some((release, Text::UnameRelease));
        verdict.argument.push(Step::Upstream(release, Text::UnameRelease));
        return verdict.concluded(Standing::NotAffected, Confidence::High, Step::OutOfRange);
    }
    if faked(release) {
        verdict.argument.push(Step::ReleaseFaked);
    }

    let Some((upstream, text)) = upstream(texts, release) else {
        // The release is faked and nothing else is known: 2.6.63 is 4.3, 5.3 or
        // 6.3.
        verdict.in_range = true;
        return verdict.concluded(Standing::Unknown, Confidence::Low, Step::CompilerUnknown);
    };
    verdict.upstream = Some((upstream, text));
    verdict.argument.push(Step::Upstream(upstream, text));
    let Some(range) = LINUX_SIGFRAME_FPU.ranges.iter().find(|range| range.contains(upstream))
    else {
        return verdict.concluded(Standing::NotAffected, Confidence::High, Step::OutOfRange);
    };
    verdict.argument.push(Step::InRange(range.fixed));
    if let Some(row) = fixed_build(texts, release) {
        let step = Step::FixedByVendor(row);
        return verdict.concluded(Standing::NotAffected, Confidence::Medium, step);
    }
    verdict.in_range = true;
    judge_build(verdict, texts)
}

/// Completes the argument for an upstream version in range: the compiler, the
/// vendor, and reservations.
fn judge_build(mut verdict: Verdict, texts: &KernelTexts<'_>) -> Verdict {
    verdict.compiler = texts.proc_version.and_then(compiler);
    let guilty = match (LINUX_SIGFRAME_FPU.built_by, verdict.compiler) {
        (BuiltBy::Any, _) => Some(true),
        (BuiltBy::GccFrom(least), Some(Compiler::Gcc(major))) => Some(major >= least),
        (BuiltBy::GccFrom(_), Some(Compiler::Clang)) => Some(false),
        (BuiltBy::GccFrom(_), None) => None,
    };
    verdict.argument.push(match (verdict.compiler, guilty) {
        (Some(built_by), guilty) => Step::BuiltBy(built_by, guilty == Some(true)),
        (None, _) => Step::CompilerUnknown,
    });
    if guilty == Some(false) {
        verdict.in_range = false;
        verdict.standing = Standing::NotAffected;
        verdict.confidence = Confidence::Medium;
        return verdict;
    }
    let vendor = has_vendor_suffix(texts);
    if vendor {
        verdict.argument.push(Step::VendorMayHaveFixed);
    }
    (verdict.standing, verdict.confidence) = match (guilty, vendor) {
        (Some(true), false) => (Standing::Affected, Confidence::High),
        (Some(true), true) => (Standing::Affected, Confidence::Medium),
        _ => (Standing::Unknown, Confidence::Low),
    };
    if !(texts.cpu.xsave && texts.cpu.avx) {
        verdict.argument.push(Step::NoAvx);
    }
    if verdict.preempt {
        verdict.argument.push(Step::Preemptible);
    }
    verdict
}

fn judge_freebsd(texts: &KernelTexts<'_>) -> Verdict {
    let mut verdict = Verdict::new(Some(&FREEBSD_RESTART_R10));
    if !runs_on(FREEBSD_RESTART_R10.arch, texts) {
        return verdict.concluded(Standing::NotAffected, Confidence::High, Step::OtherProcessor);
    }
    let Some(release) = parse_version(texts.release) else {
        return verdict.concluded(Standing::Unknown, Confidence::Low, Step::ReleaseUnreadable);
    };
    verdict.upstream = Some((release, Text::UnameRelease));
    verdict.argument.push(Step::Upstream(release, Text::UnameRelease));
    let Some(row) = quirks::freebsd_release(release) else {
        return verdict.concluded(Standing::Unknown, Confidence::Low, Step::OutOfRange);
    };
    let range = FREEBSD_RESTART_R10.ranges.iter().find(|range| range.contains(release));
    match range {
        Some(range) if row.affected => {
            verdict.in_range = true;
            let step = Step::InRange(range.fixed);
            verdict.concluded(Standing::Affected, row.confidence, step)
        }
        _ => verdict.concluded(Standing::NotAffected, row.confidence, Step::OutOfRange),
    }
}

fn runs_on(arch: Arch, texts: &KernelTexts<'_>) -> bool {
    let wide = matches!(texts.machine, b"x86_64" | b"amd64");
    // `setarch i386` shows this for a 64-bit kernel too.
    let narrow = matches!(texts.machine, b"i386" | b"i486" | b"i586" | b"i686");
    match arch {
        Arch::Any => true,
        Arch::X86 => wide || narrow || (texts.machine.is_empty() && texts.cpu.x86_64),
        Arch::X86_64 => wide || (texts.machine.is_empty() && texts.cpu.x86_64),
    }
}

/// gVisor's `uname -v` is a constant in its source; newer versions also say so
/// in the release.
fn is_gvisor(texts: &KernelTexts<'_>) -> bool {
    texts.version == b"#1 SMP Sun Jan 10 15:06:54 PST 2016"
        || texts.release.ends_with(b"-gvisor")
        || texts.proc_version.is_some_and(|text| find(text, b"gVisor").is_some())
}
