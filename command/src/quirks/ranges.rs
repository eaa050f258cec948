//! Ranges of affected versions, stable branch by stable branch.

use sigward::quirks::Version;

/// A version, short enough for tables.
pub const fn v(major: u32, minor: u32, patch: u32) -> Version {
    Version::new(major, minor, patch)
}

/// What a record of the kernel CNA says.
pub struct Record {
    pub cve: &'static str,
    pub ranges: Ranges,
    /// The commits that brought the defect.
    pub introduced: &'static [&'static str],
    /// The commits that fix it, on the branches and in mainline.
    pub commits: &'static [&'static str],
}

/// Affected versions.
pub struct Ranges {
    /// The mainline version that brought the defect.
    pub since: Option<Version>,
    /// From, and the first good version: branches that took the defect with a backport.
    pub spans: &'static [(Version, Version)],
    /// The first good version of each stable branch that has one.
    pub fixed: &'static [Version],
    /// The first good mainline version.
    pub mainline: Option<Version>,
    /// Branches that have the fix at a patch level that the sources do not give.
    pub somewhere: &'static [(u32, u32)],
}

impl Ranges {
    /// No version at all.
    pub const NONE: Self =
        Self { since: None, spans: &[], fixed: &[], mainline: None, somewhere: &[] };
}

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Older than the defect.
    Before(Version),
    /// On a branch that takes none of the affected versions.
    Outside,
    /// Affected; fixed on its own branch by this version.
    Affected(Version),
    /// Affected, and no fix is listed for its branch. The next version that has one, if any.
    NoFixListed(Option<Version>),
    /// This version, or the one it follows, has the fix.
    Fixed(Version),
    /// The branch has the fix somewhere, but the table does not know where.
    Unsure,
}

impl Ranges {
    /// Where `version` stands. `candidate` is true for a release candidate, which the numbers
    /// do not tell from the version that it leads to.
    pub fn place(&self, version: Version, candidate: bool) -> Place {
        if let Some((_, fixed)) =
            self.spans.iter().find(|(from, to)| (*from..*to).contains(&version))
        {
            return Place::Affected(*fixed);
        }
        let Some(since) = self.since else {
            return Place::Outside;
        };
        if version < since {
            return Place::Before(since);
        }
        let branch = |of: Version| (of.major, of.minor);
        if let Some(fixed) = self.fixed.iter().find(|fixed| branch(**fixed) == branch(version)) {
            let is_fixed = version >= *fixed;
            return if is_fixed { Place::Fixed(*fixed) } else { Place::Affected(*fixed) };
        }
        match self.mainline {
            // The fix may have come after this candidate.
            Some(mainline) if candidate && version == mainline => Place::Unsure,
            Some(mainline) if version >= mainline => Place::Fixed(mainline),
            _ if self.somewhere.contains(&branch(version)) => Place::Unsure,
            _ => Place::NoFixListed(self.next(version)),
        }
    }

    /// The lowest version above `version` that has the fix.
    fn next(&self, version: Version) -> Option<Version> {
        let listed = self.fixed.iter().copied().chain(self.mainline);
        listed.filter(|fixed| *fixed > version).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRANCHES: Ranges = Ranges {
        since: Some(v(5, 19, 0)),
        spans: &[(v(5, 15, 40), v(5, 15, 50))],
        fixed: &[v(6, 1, 162), v(6, 18, 8)],
        mainline: Some(v(6, 19, 0)),
        somewhere: &[(6, 6)],
    };

    #[test]
    fn each_branch_is_judged_by_its_own_fix() {
        for (version, place) in [
            (v(5, 18, 9), Place::Before(v(5, 19, 0))),
            (v(5, 15, 39), Place::Before(v(5, 19, 0))),
            (v(5, 15, 40), Place::Affected(v(5, 15, 50))),
            (v(5, 15, 50), Place::Before(v(5, 19, 0))),
            (v(5, 19, 0), Place::NoFixListed(Some(v(6, 1, 162)))),
            (v(6, 1, 161), Place::Affected(v(6, 1, 162))),
            (v(6, 1, 162), Place::Fixed(v(6, 1, 162))),
            (v(6, 6, 1), Place::Unsure),
            (v(6, 12, 60), Place::NoFixListed(Some(v(6, 18, 8)))),
            (v(6, 18, 7), Place::Affected(v(6, 18, 8))),
            (v(6, 19, 0), Place::Fixed(v(6, 19, 0))),
            (v(7, 2, 0), Place::Fixed(v(6, 19, 0))),
        ] {
            assert_eq!(BRANCHES.place(version, false), place, "{version}");
        }
        assert_eq!(BRANCHES.place(v(6, 19, 0), true), Place::Unsure);
        assert_eq!(BRANCHES.place(v(7, 0, 0), true), Place::Fixed(v(6, 19, 0)));
        let open = Ranges { mainline: None, ..BRANCHES };
        assert_eq!(open.place(v(7, 0, 0), false), Place::NoFixListed(None));
        let spans = Ranges { since: None, ..BRANCHES };
        assert_eq!(spans.place(v(6, 1, 0), false), Place::Outside);
    }
}
