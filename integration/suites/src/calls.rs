//! How often hooked functions were called, by purpose.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How often all programs of a suite together called each hooked function.
pub type Calls = BTreeMap<String, u64>;

/// The purpose of a function.
struct Family {
    title: &'static str,
    names: &'static [&'static str],
}

const WAITS: Family = Family {
    title: "waits",
    names: &["wait", "waitpid", "wait3", "wait4", "waitid", "__wait", "__waitpid"],
};

const STACKS: Family = Family { title: "alternate stacks", names: &["sigaltstack", "sigstack"] };

/// Every hooked function is in exactly one of them.
#[rustfmt::skip] // a table
const FAMILIES: [Family; 6] = [
    STACKS,
    Family {
        title: "handlers",
        names: &["sigaction", "__sigaction", "signal", "ssignal", "bsd_signal", "sysv_signal", "__sysv_signal", "sigset", "siginterrupt"],
    },
    WAITS,
    Family { title: "threads", names: &["pthread_create", "thrd_create"] },
    Family { title: "syscall(2), prctl(2), forks", names: &["syscall", "prctl", "_Fork"] },
    Family {
        title: "memory",
        names: &["madvise", "process_madvise", "munmap", "mmap", "mmap64", "mremap", "brk", "sbrk", "shmat", "shmdt",
            "mprotect", "pkey_mprotect", "mlock", "mlock2", "mlockall", "munlock", "munlockall"],
    },
];

/// The first of `names` that belongs to no family.
#[must_use]
pub fn stray(names: &[String]) -> Option<&String> {
    names.iter().find(|name| !FAMILIES.iter().any(|family| family.names.contains(&name.as_str())))
}

/// Whether any of the calls is a wait.
#[must_use]
pub fn waits(calls: &Calls) -> bool {
    WAITS.names.iter().any(|name| calls.contains_key(*name))
}

/// Whether any of the calls concerns alternate stacks; syscall(2) may.
#[must_use]
pub fn stacks(calls: &Calls) -> bool {
    STACKS.names.iter().chain(&["syscall"]).any(|name| calls.contains_key(*name))
}

/// The sum of the calls of each family.
#[must_use]
pub fn families(calls: &Calls) -> String {
    let mut text = String::new();
    for Family { title, names } in FAMILIES {
        let sum: u64 = names.iter().filter_map(|name| calls.get(*name)).sum();
        if sum > 0 {
            let _ = write!(text, "{title} {sum}, ");
        }
    }
    text.trim_end_matches(", ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(of: &[(&str, u64)]) -> Calls {
        of.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
    }

    #[test]
    fn calls_are_summed_by_family() {
        let all = calls(&[("signal", 2), ("sigaction", 3), ("munmap", 5), ("wait4", 7)]);
        assert_eq!(families(&all), "handlers 5, waits 7, memory 5");
        assert_eq!(families(&Calls::new()), "");
        assert!(waits(&all) && !waits(&calls(&[("signal", 2)])));
        assert!(!stacks(&all) && stacks(&calls(&[("sigaltstack", 1)])));
    }

    #[test]
    fn a_name_in_no_family_is_found() {
        let names = ["wait", "frobnicate", "munmap"].map(str::to_owned);
        assert_eq!(stray(&names).map(String::as_str), Some("frobnicate"));
        assert_eq!(stray(&["wait".to_owned()]), None);
    }
}
