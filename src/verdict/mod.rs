//! Which kernel is this, is it affected, and why.
//!
//! Pure over the kernel's texts; reading them is elsewhere. Everything here is
//! async-signal-safe: no allocation, no panic, no system call. Any bytes are
//! accepted, of any length.
//!
//! A caller with little to spend asks [`needs_proc`] first: where it says no,
//! the verdict is final with `uname` alone, and no file need be opened.

use core::fmt;

use crate::quirks::{
    self, Arch, BuiltBy, Confidence, FIXED_BUILDS, FREEBSD_RESTART_R10, FixedBuild,
    LINUX_SIGFRAME_FPU, Quirk, Version,
};

/// What the processor offers, from CPUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTraits {
    /// A 64-bit x86 process.
    pub x86_64: bool,
    /// XSAVE is there and switched on by the kernel.
    pub xsave: bool,
    /// AVX is there and switched on by the kernel.
    pub avx: bool,
}

impl CpuTraits {
    /// A current x86-64 processor: the cautious assumption about another
    /// machine.
    pub const MODERN: Self = Self { x86_64: true, xsave: true, avx: true };
}

/// The texts by which a kernel describes itself.
#[derive(Clone, Copy, Debug)]
pub struct KernelTexts<'a> {
    /// `uname -s`.
    pub sysname: &'a [u8],
    /// `uname -r`.
    pub release: &'a [u8],
    /// `uname -v`.
    pub version: &'a [u8],
    /// `uname -m`.
    pub machine: &'a [u8],
    /// `/proc/version`, if it was read.
    pub proc_version: Option<&'a [u8]>,
    /// `/proc/version_signature` (Ubuntu), if it is there.
    pub version_signature: Option<&'a [u8]>,
    /// The processor.
    pub cpu: CpuTraits,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The kernel has the defect.
    Affected,
    /// It has not.
    NotAffected,
    /// The texts do not tell.
    Unknown,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Standing {
    /// The words that the command prints.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Affected => "affected",
            Self::NotAffected => "not affected",
            Self::Unknown => "unknown",
        }
    }
}

/// Where the upstream version was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Last field of `/proc/version_signature`.
    VersionSignature,
    /// The package version in Debian's `uname -v`.
    UnameVersion,
    /// `/proc/version`, because `uname -r` is faked.
    ProcVersion,
    /// `uname -r`.
    UnameRelease,
}

impl Text {
    /// The name that an administrator knows the text by.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VersionSignature => "/proc/version_signature",
            Self::UnameVersion => "uname -v",
            Self::ProcVersion => "/proc/version",
            Self::UnameRelease => "uname -r",
        }
    }
}

/// Who built the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// GCC of this major version.
    Gcc(u32),
    /// Clang.
    Clang,
}

/// One step of the argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No row of the table belongs to this operating system.
    OtherSystem,
    /// The defect needs another processor.
    OtherProcessor,
    /// gVisor answers the system calls, and writes the signal frames.
    Gvisor,
    /// `uname -r` is no version number.
    ReleaseUnreadable,
    /// `uname -r` is one that `setarch --uname-2.6` makes up.
    ReleaseFaked,
    /// The upstream version, and the text that it is from.
    Upstream(Version, Text),
    /// No affected range holds the version.
    OutOfRange,
    /// An affected range holds the version; it ends at this one.
    InRange(Version),
    /// The vendor's build is listed as fixed; from this build number on.
    FixedByVendor(&'static FixedBuild),
    /// A vendor built this kernel, and may have taken the fix unlisted.
    VendorMayHaveFixed,
    /// The compiler, and whether its code shows the defect.
    BuiltBy(Compiler, bool),
    /// The compiler is not known.
    CompilerUnknown,
    /// The processor has no AVX: only x87 and SSE registers are at risk.
    NoAvx,
    /// The kernel preempts itself: the risk is reduced, not removed.
    Preemptible,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OtherSystem => f.write_str("no known defect of this operating system"),
            Self::OtherProcessor => f.write_str("the defect needs an x86 processor"),
            Self::Gvisor => f.write_str(
                "this is gVisor: it writes signal frames itself, the host kernel does not",
            ),
            Self::ReleaseUnreadable => f.write_str("the kernel release is no version number"),
            Self::ReleaseFaked => {
                f.write_str("uname -r is faked (setarch --uname-2.6), other texts decide")
            }
            Self::Upstream(version, text) => {
                write!(f, "upstream version {version}, from {}", text.as_str())
            }
            Self::OutOfRange => f.write_str("no affected range holds this version"),
            Self::InRange(fixed) => {
                write!(f, "an affected range holds this version, fixed in {fixed}")
            }
            Self::FixedByVendor(row) => {
                write!(f, "the vendor fixed this series in build {} ({})", row.build, row.source())
            }
            Self::VendorMayHaveFixed => {
                f.write_str("a vendor's build: it may carry the fix without being listed")
            }
            Self::BuiltBy(Compiler::Gcc(major), true) => {
                write!(f, "built by GCC {major}, whose code shows the defect")
            }
            Self::BuiltBy(Compiler::Gcc(major), false) => {
                write!(f, "built by GCC {major}, whose code does not show the defect")
            }
            Self::BuiltBy(Compiler::Clang, _) => {
                f.write_str("built by Clang; the defect is known of GCC only")
            }
            Self::CompilerUnknown => {
                f.write_str("the compiler is not known (/proc/version unreadable?)")
            }
            Self::NoAvx => {
                f.write_str("no AVX: only x87 and SSE registers are at risk on this processor")
            }
            Self::Preemptible => f.write_str(
                "a preemptible kernel (PREEMPT): resident stacks reduce the risk but do not \
                 remove it; upgrade the kernel",
            ),
        }
    }
}

const MOST_REASONS: usize = 8;

/// The steps of an argument, in order. Holds eight; further ones are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Reasons {
    steps: [Option<Reason>; MOST_REASONS],
}

impl Reasons {
    fn push(&mut self, reason: Reason) {
        if let Some(free) = self.steps.iter_mut().find(|step| step.is_none()) {
            *free = Some(reason);
        }
    }

    /// The reasons in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = Reason> + '_ {
        self.steps.iter().flatten().copied()
    }

    /// Whether `reason` is among them.
    #[must_use]
    pub fn contains(&self, reason: Reason) -> bool {
        self.iter().any(|step| step == reason)
    }
}

/// What is known of a kernel and one defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The defect that was judged; `None` = nothing known of this system.
    pub quirk: Option<&'static Quirk>,
    /// The answer.
    pub standing: Standing,
    /// How sure it is.
    pub confidence: Confidence,
    /// Whether the texts leave the kernel in an affected range.
    pub in_range: bool,
    /// Whether the kernel may preempt itself, so that residency only reduces
    /// the risk. Voluntary preemption does not count.
    pub preempt: bool,
    /// Whether gVisor, not Linux, answers: stand down.
    pub gvisor: bool,
    /// The upstream version and where it was found.
    pub upstream: Option<(Version, Text)>,
    /// The compiler that built the kernel.
    pub compiler: Option<Compiler>,
    /// The argument, step by step.
    pub reasons: Reasons,
}

impl Verdict {
    /// Whether `SIGWARD=auto` acts: affected, or unknown within a range.
    #[must_use]
    pub fn acts(self) -> bool {
        match self.standing {
            Standing::Affected => true,
            Standing::NotAffected => false,
            Standing::Unknown => self.in_range,
        }
    }

    /// Whether hardening lowers the risk without removing it.
    #[must_use]
    pub fn only_reduces(self) -> bool {
        self.acts() && self.preempt
    }

    const fn new(quirk: Option<&'static Quirk>) -> Self {
        Self {
            quirk,
            standing: Standing::NotAffected,
            confidence: Confidence::High,
            in_range: false,
            preempt: false,
            gvisor: false,
            upstream: None,
            compiler: None,
            reasons: Reasons { steps: [None; MOST_REASONS] },
        }
    }

    fn concluded(mut self, standing: Standing, confidence: Confidence, reason: Reason) -> Self {
        self.standing = standing;
        self.confidence = confidence;
        self.reasons.push(reason);
        self
    }
}

/// Whether `/proc/version` and `/proc/version_signature` can change the
/// verdict: true only for a Linux release in an affected range, or one that
/// `setarch --uname-2.6` made from such a release.
#[must_use]
pub fn needs_proc(release: &[u8]) -> bool {
    parse_version(release).is_some_and(|version| in_range(version) || faked(version))
}

/// Judges the defect of this class that the operating system is known for:
/// `linux-sigframe-fpu` or `freebsd-restart-r10`.
///
/// Total: any texts give a verdict.
#[must_use]
pub fn judge(texts: &KernelTexts<'_>) -> Verdict {
    match texts.sysname {
        b"Linux" => judge_linux(texts),
        b"FreeBSD" => judge_freebsd(texts),
        _ => Verdict::new(None).concluded(Standing::Unknown, Confidence::Low, Reason::OtherSystem),
    }
}

/// Judges the running kernel, of the system that this was built for.
#[must_use]
pub fn judge_running(texts: &KernelTexts<'_>) -> Verdict {
    if cfg!(target_os = "linux") { judge_linux(texts) } else { judge(texts) }
}

fn judge_linux(texts: &KernelTexts<'_>) -> Verdict {
    let mut verdict = Verdict::new(Some(&LINUX_SIGFRAME_FPU));
    verdict.preempt = preemptible(texts.version);
    if is_gvisor(texts) {
        verdict.gvisor = true;
        return verdict.concluded(Standing::NotAffected, Confidence::High, Reason::Gvisor);
    }
    if !runs_on(LINUX_SIGFRAME_FPU.arch, texts) {
        return verdict.concluded(Standing::NotAffected, Confidence::High, Reason::OtherProcessor);
    }
    let Some(release) = parse_version(texts.release) else {
        return verdict.concluded(Standing::Unknown, Confidence::Low, Reason::ReleaseUnreadable);
    };
    if !needs_proc(texts.release) {
        verdict.upstream = Some((release, Text::UnameRelease));
        verdict.reasons.push(Reason::Upstream(release, Text::UnameRelease));
        return verdict.concluded(Standing::NotAffected, Confidence::High, Reason::OutOfRange);
    }
    if faked(release) {
        verdict.reasons.push(Reason::ReleaseFaked);
    }

    let Some((upstream, text)) = upstream(texts, release) else {
        // A faked release and nothing else to go by: 2.6.63 is 4.3, 5.3 or 6.3.
        verdict.in_range = true;
        return verdict.concluded(Standing::Unknown, Confidence::Low, Reason::CompilerUnknown);
    };
    verdict.upstream = Some((upstream, text));
    verdict.reasons.push(Reason::Upstream(upstream, text));
    let Some(range) = LINUX_SIGFRAME_FPU.ranges.iter().find(|range| range.contains(upstream))
    else {
        return verdict.concluded(Standing::NotAffected, Confidence::High, Reason::OutOfRange);
    };
    verdict.reasons.push(Reason::InRange(range.fixed));
    if let Some(row) = fixed_build(texts, release) {
        let reason = Reason::FixedByVendor(row);
        return verdict.concluded(Standing::NotAffected, Confidence::Medium, reason);
    }
    verdict.in_range = true;
    judge_build(verdict, texts)
}

/// The rest of the argument for an upstream version in range: the compiler,
/// the vendor, and what qualifies the answer.
fn judge_build(mut verdict: Verdict, texts: &KernelTexts<'_>) -> Verdict {
    verdict.compiler = texts.proc_version.and_then(compiler);
    let guilty = match (LINUX_SIGFRAME_FPU.built_by, verdict.compiler) {
        (BuiltBy::Any, _) => Some(true),
        (BuiltBy::GccFrom(least), Some(Compiler::Gcc(major))) => Some(major >= least),
        (BuiltBy::GccFrom(_), Some(Compiler::Clang)) => Some(false),
        (BuiltBy::GccFrom(_), None) => None,
    };
    verdict.reasons.push(match (verdict.compiler, guilty) {
        (Some(built_by), guilty) => Reason::BuiltBy(built_by, guilty == Some(true)),
        (None, _) => Reason::CompilerUnknown,
    });
    if guilty == Some(false) {
        verdict.in_range = false;
        verdict.standing = Standing::NotAffected;
        verdict.confidence = Confidence::Medium;
        return verdict;
    }
    let vendor = has_vendor_suffix(texts);
    if vendor {
        verdict.reasons.push(Reason::VendorMayHaveFixed);
    }
    (verdict.standing, verdict.confidence) = match (guilty, vendor) {
        (Some(true), false) => (Standing::Affected, Confidence::High),
        (Some(true), true) => (Standing::Affected, Confidence::Medium),
        _ => (Standing::Unknown, Confidence::Low),
    };
    if !(texts.cpu.xsave && texts.cpu.avx) {
        verdict.reasons.push(Reason::NoAvx);
    }
    if verdict.preempt {
        verdict.reasons.push(Reason::Preemptible);
    }
    verdict
}

fn judge_freebsd(texts: &KernelTexts<'_>) -> Verdict {
    let mut verdict = Verdict::new(Some(&FREEBSD_RESTART_R10));
    if !runs_on(FREEBSD_RESTART_R10.arch, texts) {
        return verdict.concluded(Standing::NotAffected, Confidence::High, Reason::OtherProcessor);
    }
    let Some(release) = parse_version(texts.release) else {
        return verdict.concluded(Standing::Unknown, Confidence::Low, Reason::ReleaseUnreadable);
    };
    verdict.upstream = Some((release, Text::UnameRelease));
    verdict.reasons.push(Reason::Upstream(release, Text::UnameRelease));
    let Some(row) = quirks::freebsd_release(release) else {
        return verdict.concluded(Standing::Unknown, Confidence::Low, Reason::OutOfRange);
    };
    let range = FREEBSD_RESTART_R10.ranges.iter().find(|range| range.contains(release));
    match range {
        Some(range) if row.affected => {
            verdict.in_range = true;
            let reason = Reason::InRange(range.fixed);
            verdict.concluded(Standing::Affected, row.confidence, reason)
        }
        _ => verdict.concluded(Standing::NotAffected, row.confidence, Reason::OutOfRange),
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

/// gVisor's `uname -v` is a constant of its sources; newer ones say so in the
/// release as well.
fn is_gvisor(texts: &KernelTexts<'_>) -> bool {
    texts.version == b"#1 SMP Sun Jan 10 15:06:54 PST 2016"
        || texts.release.ends_with(b"-gvisor")
        || texts.proc_version.is_some_and(|text| find(text, b"gVisor").is_some())
}

fn in_range(version: Version) -> bool {
    LINUX_SIGFRAME_FPU.ranges.iter().any(|range| range.contains(version))
}

/// `setarch --uname-2.6` shows x.Y.z as 2.6.(Y + 60): `override_release` in
/// kernel/sys.c, from 4.0 on.
fn faked(version: Version) -> bool {
    version.major == 2
        && version.minor == 6
        && LINUX_SIGFRAME_FPU
            .ranges
            .iter()
            .any(|range| range.from.minor.checked_add(60) == Some(version.patch))
}

fn upstream(texts: &KernelTexts<'_>, release: Version) -> Option<(Version, Text)> {
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
fn proc_release(text: &[u8]) -> Option<&[u8]> {
    after(text, b"Linux version ")?.split(u8::is_ascii_whitespace).next()
}

/// The row that lists this build as fixed.
fn fixed_build(texts: &KernelTexts<'_>, release: Version) -> Option<&'static FixedBuild> {
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

/// Whether the release carries more than a version and a `-rc`.
fn has_vendor_suffix(texts: &KernelTexts<'_>) -> bool {
    let suffix = texts.release.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.');
    let Some(suffix) = suffix.and_then(|at| texts.release.get(at..)) else {
        return false;
    };
    match suffix.strip_prefix(b"-rc") {
        Some(rest) => !rest.iter().all(u8::is_ascii_digit),
        None => suffix != b"+",
    }
}

/// Whether `uname -v` shows a kernel that may preempt itself: PREEMPT,
/// `PREEMPT RT`, `PREEMPT_RT`, and `PREEMPT_DYNAMIC`, whose boot parameter may
/// ask for it. Voluntary preemption is not shown at all, or as
/// `PREEMPT_VOLUNTARY`, and schedules at chosen points only.
fn preemptible(version: &[u8]) -> bool {
    version
        .split(u8::is_ascii_whitespace)
        .any(|word| matches!(word, b"PREEMPT" | b"PREEMPT_RT" | b"PREEMPT_DYNAMIC"))
}

/// The compiler named in `/proc/version`.
///
/// Up to 5.7 `(gcc version 9.2.1 20191008 (Ubuntu 9.2.1-9ubuntu2))`, later
/// `(gcc-10 (Debian 10.2.1-6) 10.2.1 20210110, GNU ld …)`.
fn compiler(text: &[u8]) -> Option<Compiler> {
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

/// The number behind a `(…)` group that begins within the first word.
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

/// `5.3.0-40-generic` → 5.3.0; `5.4` → 5.4.0; a lone number is no version.
fn parse_version(text: &[u8]) -> Option<Version> {
    let (major, digits) = number(text)?;
    let rest = text.get(digits..)?.strip_prefix(b".")?;
    let (minor, digits) = number(rest)?;
    let patch = rest.get(digits..).and_then(|rest| rest.strip_prefix(b".")).and_then(number);
    Some(Version::new(major, minor, patch.map_or(0, |(patch, _)| patch)))
}

/// The decimal number that `text` begins with, and how many digits it has.
/// Saturates.
fn number(text: &[u8]) -> Option<(u32, usize)> {
    let mut value = 0_u32;
    let mut digits = 0_usize;
    for byte in text.iter().take_while(|byte| byte.is_ascii_digit()) {
        let digit = byte.wrapping_sub(b'0');
        value = value.saturating_mul(10).saturating_add(u32::from(digit));
        digits = digits.saturating_add(1);
    }
    (digits > 0).then_some((value, digits))
}

/// Where `needle` first begins.
fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let mut rest = text;
    while !rest.starts_with(needle) {
        rest = rest.get(1..)?;
    }
    text.len().checked_sub(rest.len())
}

/// What follows the first `needle`.
fn after<'a>(text: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    text.get(find(text, needle)?.checked_add(needle.len())?..)
}

#[cfg(test)]
mod tests;
