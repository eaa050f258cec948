//! The kernel defects that the library acts on, as data.
//!
//! There is one [`Quirk`] per defect; tests, documents and the command refer to
//! it by its id. The whole table of known defects, with texts, is the command's:
//! `command/src/quirks/rows/`. Distribution builds that carry the fix under an old
//! version number are rows of [`FIXED_BUILDS`]. `FreeBSD` releases are rows of
//! [`FREEBSD_RELEASES`]. Nothing is decided here: [`crate::verdict`] says what the
//! rows mean for the running kernel.
//!
//! Two cases are left out on purpose. RHEL 8 took the broken change into its
//! 4.18 kernel (RHSA-2020:4431 fixes CVE-2019-19602 there), but is built by GCC
//! 8, whose code does not show the defect. The 4.14 and 4.19 real-time trees
//! took the fix too (4.19.94-rt39); we do not know whether their earlier builds
//! had the defect.

/// A kernel version, `major.minor.patch`. Missing parts are zero, and a release
/// candidate counts as the version it leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The 5 of 5.3.15.
    pub major: u32,
    /// The 3 of 5.3.15.
    pub minor: u32,
    /// The 15 of 5.3.15.
    pub patch: u32,
}

impl Version {
    /// `major.minor.patch`.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }
}

impl core::fmt::Display for Version {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Versions from `from` (inclusive) to `fixed`, the first good one (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First affected version.
    pub from: Version,
    /// First version that is good again.
    pub fixed: Version,
}

impl Range {
    /// Whether the number of `version` is in the range.
    #[must_use]
    pub fn contains(&self, version: Version) -> bool {
        self.from <= version && version < self.fixed
    }
}

/// Operating systems that have a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    /// `uname -s` says `Linux`.
    Linux,
    /// `uname -s` says `FreeBSD`.
    FreeBsd,
}

/// Which processors a defect needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// Any x86, 32-bit or 64-bit.
    X86,
    /// 64-bit x86 only.
    X86_64,
    /// Every architecture.
    Any,
}

/// Which compiler the kernel must have been built by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltBy {
    /// Any compiler: the source is wrong.
    Any,
    /// GCC of this major version or later: only its code shows the defect.
    GccFrom(u32),
}

/// What sigward does about a defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// Keep the pages that a signal frame is written to resident.
    ResidentStacks,
    /// Never let the kernel restart a call whose arguments it would lose.
    UnrestartedWaits,
    /// Take a thread's stack bounds from that very thread.
    RealBounds,
    /// Report or replace alternate stacks that are too small for a frame.
    RoomForFrames,
}

/// How sure a row, or a verdict, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// An assumption, or information with gaps.
    Low,
    /// One source, or a vendor that may have patched.
    Medium,
    /// Several sources, or our own observation.
    High,
}

impl Confidence {
    /// `"low"`, `"medium"` or `"high"`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// One defect.
#[derive(Debug, PartialEq, Eq)]
pub struct Quirk {
    /// The name that tests, documents and the command use.
    pub id: &'static str,
    /// The operating system that has it; `None` if it is not tied to one.
    pub os: Option<Os>,
    /// The processors it needs.
    pub arch: Arch,
    /// Affected versions; empty for every version.
    pub ranges: &'static [Range],
    /// The compiler condition.
    pub built_by: BuiltBy,
    /// What sigward does about it.
    pub cure: Cure,
    /// How sure the row is.
    pub confidence: Confidence,
}

const fn range(from: (u32, u32, u32), fixed: (u32, u32, u32)) -> Range {
    Range {
        from: Version::new(from.0, from.1, from.2),
        fixed: Version::new(fixed.0, fixed.1, fixed.2),
    }
}

/// A signal frame that faults while it is written loses vector registers.
pub static LINUX_SIGFRAME_FPU: Quirk = Quirk {
    id: "linux-sigframe-fpu",
    os: Some(Os::Linux),
    arch: Arch::X86,
    ranges: &[
        // 5.2 reached its end of life without the fix.
        range((5, 2, 0), (5, 3, 0)),
        range((5, 3, 0), (5, 3, 15)),
        range((5, 4, 0), (5, 4, 2)),
    ],
    built_by: BuiltBy::GccFrom(9),
    cure: Cure::ResidentStacks,
    confidence: Confidence::High,
};

/// A restarted SYSCALL loses its fourth argument.
pub static FREEBSD_RESTART_R10: Quirk = Quirk {
    id: "freebsd-restart-r10",
    os: Some(Os::FreeBsd),
    arch: Arch::X86_64,
    ranges: &[range((7, 0, 0), (9, 3, 0))],
    built_by: BuiltBy::Any,
    cure: Cure::UnrestartedWaits,
    confidence: Confidence::Medium,
};

/// Stack bounds taken from a constant.
pub static STACK_BOUNDS: Quirk = Quirk {
    id: "stack-bounds",
    os: None,
    arch: Arch::Any,
    ranges: &[],
    built_by: BuiltBy::Any,
    cure: Cure::RealBounds,
    confidence: Confidence::High,
};

/// Alternate stacks with less room than today's signal frames need.
pub static ALTSTACK_SIZE: Quirk = Quirk {
    id: "altstack-size",
    os: Some(Os::Linux),
    arch: Arch::X86,
    ranges: &[],
    built_by: BuiltBy::Any,
    cure: Cure::RoomForFrames,
    confidence: Confidence::High,
};

/// Every defect that the library acts on, one row each.
pub static QUIRKS: &[&Quirk] =
    &[&LINUX_SIGFRAME_FPU, &FREEBSD_RESTART_R10, &STACK_BOUNDS, &ALTSTACK_SIZE];

/// A distribution's kernel builds that carry the fix for [`LINUX_SIGFRAME_FPU`]
/// although their version number is in its range.
#[derive(Debug, PartialEq, Eq)]
pub struct FixedBuild {
    /// The part of `uname -v` that names the vendor.
    pub vendor: &'static [u8],
    /// `major.minor` of `uname -r`.
    pub series: (u32, u32),
    /// The last part of `uname -r`, for example the `generic` of
    /// `5.3.0-40-generic`.
    pub flavour: &'static [u8],
    /// The first good build, for example the 40 of `5.3.0-40-generic`.
    pub build: u32,
}

impl FixedBuild {
    /// Where this row comes from.
    #[must_use]
    pub const fn source(&self) -> &'static str {
        match self.series {
            (5, 3) => "USN-4284-1",
            _ => "golang/go#38915: fixed in 5.4.0-8.11",
        }
    }
}

const fn ubuntu(series: (u32, u32), flavour: &'static [u8], build: u32) -> FixedBuild {
    FixedBuild { vendor: b"Ubuntu", series, flavour, build }
}

/// Known-fixed builds. A build below the row's number is *not* thereby
/// affected: Ubuntu took the fix before it announced it (golang/go#37436).
pub static FIXED_BUILDS: &[FixedBuild] = &[
    ubuntu((5, 3), b"generic", 40),
    ubuntu((5, 3), b"lowlatency", 40),
    ubuntu((5, 3), b"aws", 1011),
    ubuntu((5, 3), b"azure", 1013),
    ubuntu((5, 3), b"gcp", 1012),
    ubuntu((5, 3), b"gke", 1012),
    ubuntu((5, 3), b"kvm", 1010),
    ubuntu((5, 3), b"oracle", 1009),
    ubuntu((5, 4), b"generic", 8),
    ubuntu((5, 4), b"lowlatency", 8),
];

/// Whether INT 0x80 enters a native `FreeBSD`/amd64 system call correctly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Int80 {
    /// Native numbers, 64-bit registers, 4th argument in RCX.
    Right,
    /// Arguments may be taken from the stack, as for 32-bit programs.
    Unverified,
}

/// A line of `FreeBSD`/amd64 releases, and how it relates to
/// [`FREEBSD_RESTART_R10`].
#[derive(Debug, PartialEq, Eq)]
pub struct FreeBsdRelease {
    /// The first release of the line; it ends before the next row's.
    pub from: Version,
    /// `kern.osreldate` of that release.
    pub osreldate: u32,
    /// Whether a restarted SYSCALL loses arguments.
    pub affected: bool,
    /// Whether INT 0x80 can be used instead.
    pub int80: Int80,
    /// How sure the row is.
    pub confidence: Confidence,
}

const fn freebsd(
    from: (u32, u32),
    osreldate: u32,
    affected: bool,
    int80: Int80,
    confidence: Confidence,
) -> FreeBsdRelease {
    FreeBsdRelease { from: Version::new(from.0, from.1, 0), osreldate, affected, int80, confidence }
}

/// `FreeBSD` releases in ascending order. Sources: PR 182161 (9.3 is fixed, 8.3
/// is not), the Porter's Handbook for `kern.osreldate`, Go commit 555da73c for
/// INT 0x80 on 8.x and 9.x. Rows of low confidence are inferred.
pub static FREEBSD_RELEASES: &[FreeBsdRelease] = &[
    freebsd((7, 0), 700_055, true, Int80::Unverified, Confidence::Low),
    freebsd((8, 0), 800_107, true, Int80::Unverified, Confidence::Low),
    freebsd((8, 3), 803_000, true, Int80::Right, Confidence::Medium),
    freebsd((8, 4), 804_000, true, Int80::Right, Confidence::Medium),
    freebsd((9, 0), 900_044, true, Int80::Right, Confidence::Medium),
    freebsd((9, 3), 903_000, false, Int80::Right, Confidence::High),
    freebsd((10, 0), 1_000_510, false, Int80::Right, Confidence::Medium),
];

/// The row for a `FreeBSD` release; `None` if the release is older than the
/// table.
#[must_use]
pub fn freebsd_release(version: Version) -> Option<&'static FreeBsdRelease> {
    FREEBSD_RELEASES.iter().rev().find(|row| row.from <= version)
}

/// The row for a kernel with this `kern.osreldate`, likewise.
#[must_use]
pub fn freebsd_release_of(osreldate: i32) -> Option<&'static FreeBsdRelease> {
    FREEBSD_RELEASES.iter().rev().find(|row| i64::from(row.osreldate) <= i64::from(osreldate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique() {
        for (at, quirk) in QUIRKS.iter().enumerate() {
            let mut others = QUIRKS.iter().skip(at + 1);
            assert!(others.all(|other| other.id != quirk.id), "{}", quirk.id);
        }
    }

    #[test]
    fn ranges_are_ascending_and_not_empty() {
        for quirk in QUIRKS {
            assert!(quirk.ranges.iter().all(|range| range.from < range.fixed), "{}", quirk.id);
            assert!(quirk.ranges.is_sorted_by(|a, b| a.fixed <= b.from), "{}", quirk.id);
        }
    }

    #[test]
    fn freebsd_rows_agree_with_the_range_of_the_defect() {
        assert!(FREEBSD_RELEASES.is_sorted_by(|a, b| a.from < b.from && a.osreldate < b.osreldate));
        for row in FREEBSD_RELEASES {
            let in_range = FREEBSD_RESTART_R10.ranges.iter().any(|range| range.contains(row.from));
            assert_eq!(in_range, row.affected, "FreeBSD {}", row.from);
        }
        for row in FREEBSD_RELEASES {
            assert_eq!(freebsd_release_of(row.osreldate as i32), freebsd_release(row.from));
        }
        assert!(freebsd_release_of(699_999).is_none() && freebsd_release_of(-1).is_none());
        assert!(freebsd_release(Version::new(6, 4, 0)).is_none());
        assert_eq!(freebsd_release(Version::new(9, 2, 0)).map(|row| row.affected), Some(true));
        assert_eq!(freebsd_release(Version::new(14, 1, 0)).map(|row| row.affected), Some(false));
    }

    #[test]
    fn fixed_builds_lie_in_a_range_of_the_defect() {
        for row in FIXED_BUILDS {
            let version = Version::new(row.series.0, row.series.1, 0);
            assert!(LINUX_SIGFRAME_FPU.ranges.iter().any(|range| range.contains(version)));
        }
    }
}
