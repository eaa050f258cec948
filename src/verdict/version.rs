//! The upstream version of a kernel, from its texts.

use super::argument::Text;
use super::scan::{after, number};
use super::texts::KernelTexts;
use crate::quirks::{LINUX_SIGFRAME_FPU, Version};

pub(super) fn in_range(version: Version) -> bool {
    LINUX_SIGFRAME_FPU.ranges.iter().any(|range| range.contains(version))
}

/// `setarch --uname-2.6` shows x.Y.z as 2.6.(Y + 60): `override_release` in
/// kernel/sys.c, from 4.0 on.
pub(super) fn faked(version: Version) -> bool {
    version.major == 2
        && version.minor == 6
        && LINUX_SIGFRAME_FPU
            .ranges
            .iter()
            .any(|range| range.from.minor.checked_add(60) == Some(version.patch))
}

/// The upstream version of any kernel, and the text that it was found in; `None` if nothing
/// gives one. Async-signal-safe.
#[must_use]
pub fn upstream_version(texts: &KernelTexts<'_>) -> Option<(Version, Text)> {
    parse_version(texts.release).and_then(|release| upstream(texts, release))
}

pub(super) fn upstream(texts: &KernelTexts<'_>, release: Version) -> Option<(Version, Text)> {
    if let Some(version) = texts.version_signature.and_then(signature_version) {
        return Some((version, Text::VersionSignature));
    }
    if let Some(version) = debian_version(texts.version) {
        return Some((version, Text::UnameVersion));
    }
    if faked(release) {
        let real = texts.proc_version.and_then(proc_release).and_then(parse_version)?;
        return Some((real, Text::ProcVersion));
    }
    Some((release, Text::UnameRelease))
}

/// `Ubuntu 5.3.0-40.32~18.04.1-generic 5.3.18`: the last field.
fn signature_version(text: &[u8]) -> Option<Version> {
    let last = text.trim_ascii().rsplit(u8::is_ascii_whitespace).next()?;
    parse_version(last)
}

/// `#1 SMP Debian 5.3.9-3 (2019-11-19)`: the package's version.
fn debian_version(text: &[u8]) -> Option<Version> {
    parse_version(after(text, b"Debian ")?)
}

/// `Linux version 5.3.0-40-generic (buildd@…`: the real release.
pub(super) fn proc_release(text: &[u8]) -> Option<&[u8]> {
    after(text, b"Linux version ")?.split(u8::is_ascii_whitespace).next()
}

/// `5.3.0-40-generic` → 5.3.0; `5.4` → 5.4.0; a lone number is not a version.
pub(super) fn parse_version(text: &[u8]) -> Option<Version> {
    let (major, digits) = number(text)?;
    let rest = text.get(digits..)?.strip_prefix(b".")?;
    let (minor, digits) = number(rest)?;
    let patch = rest.get(digits..).and_then(|rest| rest.strip_prefix(b".")).and_then(number);
    Some(Version::new(major, minor, patch.map_or(0, |(patch, _)| patch)))
}
