//! How a kernel was built: by which vendor and compiler, and whether it is
//! preemptible.

use super::argument::Compiler;
use super::scan::{after, find, number};
use super::texts::KernelTexts;
use super::version::{faked, parse_version, proc_release};
use crate::quirks::{FIXED_BUILDS, FixedBuild, Version};

/// The row that lists this build as fixed.
pub(super) fn fixed_build(
    texts: &KernelTexts<'_>,
    release: Version,
) -> Option<&'static FixedBuild> {
    let real =
        if faked(release) { texts.proc_version.and_then(proc_release)? } else { texts.release };
    let version = parse_version(real)?;
    let rest = after(real, b"-")?;
    let (build, digits) = number(rest)?;
    let flavour = rest.get(digits..)?.strip_prefix(b"-")?;
    FIXED_BUILDS.iter().find(|row| {
        row.series == (version.major, version.minor)
            && row.flavour == flavour
            && build >= row.build
            && (find(texts.version, row.vendor).is_some()
                || texts.version_signature.is_some_and(|text| text.starts_with(row.vendor)))
    })
}

/// Whether the release has more than a version and a `-rc`.
pub(super) fn has_vendor_suffix(texts: &KernelTexts<'_>) -> bool {
    let suffix = texts.release.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.');
    let Some(suffix) = suffix.and_then(|at| texts.release.get(at..)) else {
        return false;
    };
    match suffix.strip_prefix(b"-rc") {
        Some(rest) => !rest.iter().all(u8::is_ascii_digit),
        None => suffix != b"+",
    }
}

/// Whether `uname -v` shows a kernel that may preempt itself: PREEMPT, `PREEMPT
/// RT`, `PREEMPT_RT`, and `PREEMPT_DYNAMIC`, whose boot parameter may request
/// it. Voluntary preemption is not shown at all, or as `PREEMPT_VOLUNTARY`; it
/// schedules only at chosen points.
pub(super) fn preemptible(version: &[u8]) -> bool {
    version
        .split(u8::is_ascii_whitespace)
        .any(|word| matches!(word, b"PREEMPT" | b"PREEMPT_RT" | b"PREEMPT_DYNAMIC"))
}

/// The compiler named in `/proc/version`.
///
/// Up to 5.7 `(gcc version 9.2.1 20191008 (Ubuntu 9.2.1-9ubuntu2))`, later
/// `(gcc-10 (Debian 10.2.1-6) 10.2.1 20210110, GNU ld …)`.
pub(super) fn compiler(text: &[u8]) -> Option<Compiler> {
    if let Some((major, _)) = after(text, b"gcc version ").and_then(number) {
        return Some(Compiler::Gcc(major));
    }
    if find(text, b"clang version ").is_some() {
        return Some(Compiler::Clang);
    }
    let mut rest = text;
    while let Some(next) = after(rest, b"gcc") {
        if let Some(major) = after_parentheses(next) {
            return Some(Compiler::Gcc(major));
        }
        rest = next;
    }
    None
}

/// The number after a `(…)` group that begins within the first word.
fn after_parentheses(text: &[u8]) -> Option<u32> {
    let open = text.iter().position(|byte| *byte == b'(')?;
    let name = text.get(..open)?;
    if !name.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b' ')) {
        return None;
    }
    let mut depth = 0_usize;
    for (at, byte) in text.iter().enumerate().skip(open) {
        match byte {
            b'(' => depth = depth.saturating_add(1),
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            let behind = text.get(at..)?.strip_prefix(b")")?.trim_ascii_start();
            return number(behind).map(|(major, _)| major);
        }
    }
    None
}
