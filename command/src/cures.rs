//! Cures that `sigward run` can apply without the library: limits, and settings of runtimes.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;

use crate::environment::ProgramEnvironment;
use crate::machine::{Kernel, Machine, Texts};
use crate::quirks::judge::{self, Finding, State};
use crate::quirks::model::Cure;

/// The row whose cure is a higher limit of pending signals.
const PENDING: &str = "sigpending-limit";

/// Raises the limit of pending signals, unless this kernel is known to be right about it.
pub fn raise_pending_signals() {
    let limit = Resource::RLIMIT_SIGPENDING;
    if higher(limit).is_some() && needs_pending_signals(&Kernel::new(&Texts::of_this_kernel())) {
        raise(limit);
    }
}

fn needs_pending_signals(kernel: &Kernel) -> bool {
    !matches!(judge::of_kernel(PENDING, kernel), State::Fixed(_) | State::Before(_))
}

/// Any process may raise its soft limit to the hard limit. If even that fails, nothing is lost.
pub fn raise(limit: Resource) {
    if let Some(hard) = higher(limit) {
        let _ = setrlimit(limit, hard, hard);
    }
}

/// The hard limit, if that is higher than the soft one.
fn higher(limit: Resource) -> Option<u64> {
    let (soft, hard) = getrlimit(limit).ok()?;
    (soft < hard).then_some(hard)
}

/// A setting that a row asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The row's id.
    defect: &'static str,
    name: &'static str,
    value: &'static str,
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={} ({})", self.name, self.value, self.defect)
    }
}

/// The settings for programs on this machine.
pub fn settings_here() -> Vec<Setting> {
    let (machine, texts) = Machine::here();
    let verdict = texts.verdict(&texts.machine, sigward::verdict::CpuTraits::MODERN);
    judge::judge(&machine, &verdict).iter().filter_map(setting).collect()
}

/// The setting that a finding asks for, if the machine has the defect.
fn setting(finding: &Finding) -> Option<Setting> {
    let Cure::Environment(setting) = finding.row.cure else { return None };
    let here = finding.state.is_affected() || finding.state == State::ByProgram;
    let (name, value) = setting.split_once('=')?;
    (here && finding.open.is_empty()).then_some(Setting { defect: finding.row.id, name, value })
}

/// Adds the settings to a program's environment. What the user has set there already stays: a
/// list of settings grows, and a setting that is in it is not changed.
pub fn apply(settings: &[Setting], environment: &mut ProgramEnvironment) {
    for Setting { name, value, .. } in settings {
        let existing =
            environment.get(name.as_bytes()).map(|text| text.as_encoded_bytes().to_vec());
        let value = match (existing.filter(|text| !text.is_empty()), separator(name)) {
            (None, _) => value.as_bytes().to_vec(),
            (Some(_), None) => continue,
            (Some(list), Some(separator)) => {
                let key = value.split_inclusive('=').next().unwrap_or(value).as_bytes();
                if list.split(|byte| *byte == separator).any(|entry| entry.starts_with(key)) {
                    continue;
                }
                [&list[..], &[separator], value.as_bytes()].concat()
            }
        };
        environment.set(name.as_bytes(), &value);
    }
}

/// What separates the settings in a variable that holds several.
fn separator(name: &str) -> Option<u8> {
    match name {
        "GODEBUG" => Some(b','),
        "GLIBC_TUNABLES" => Some(b':'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quirks;

    fn finding(id: &str, state: State) -> Finding {
        Finding { row: quirks::find(id).expect("a row"), state, open: Vec::new() }
    }

    #[test]
    fn a_setting_is_made_only_where_its_row_applies() {
        let wanted =
            Setting { defect: "go-ymm-preempt", name: "GODEBUG", value: "asyncpreemptoff=1" };
        assert_eq!(setting(&finding("go-ymm-preempt", State::ByProgram)), Some(wanted));
        assert_eq!(setting(&finding("go-ymm-preempt", State::Elsewhere)), None);
        assert!(setting(&finding("fex-rip", State::Affected(None))).is_some());
        assert_eq!(setting(&finding("signal-stop-exec", State::Affected(None))), None);
        let mut open = finding("arm64-gcs-error", State::NoFixListed(None));
        open.open = open.row.needs.to_vec();
        assert_eq!(setting(&open), None);
    }

    #[test]
    fn the_limit_of_pending_signals_is_raised_where_the_kernel_needs_it() {
        for (kernel, needs) in [
            ("5.13.19", false),
            ("6.1.110", true),
            ("6.1.117", false),
            ("6.8.4", true),
            ("6.12.0", false),
            ("5.15.0-91-generic", true),
            ("5.14.0-362.8.1.el9_3.x86_64", true),
        ] {
            let kernel = Kernel::new(&Texts::parse(kernel, None));
            assert_eq!(needs_pending_signals(&kernel), needs, "{}", kernel.release);
        }
        let limit = Resource::RLIMIT_SIGPENDING;
        let (_, hard) = getrlimit(limit).expect("a limit");
        setrlimit(limit, hard / 2, hard).expect("a lower soft limit");
        raise(limit);
        assert_eq!(getrlimit(limit), Ok((hard, hard)));
    }

    #[test]
    fn what_the_user_has_set_stays() {
        let go = setting(&finding("fex-rip", State::Affected(None))).expect("a setting");
        let now = setting(&finding("parisc-sigfpe", State::Affected(None))).expect("a setting");
        for (name, before, after) in [
            ("GODEBUG", "", "asyncpreemptoff=1"),
            ("GODEBUG", "gctrace=1", "gctrace=1,asyncpreemptoff=1"),
            ("GODEBUG", "asyncpreemptoff=0,gctrace=1", "asyncpreemptoff=0,gctrace=1"),
            ("LD_BIND_NOW", "", "1"),
            ("LD_BIND_NOW", "yes", "yes"),
        ] {
            let mut environment = ProgramEnvironment::inherited();
            environment.set(b"GODEBUG", b"");
            environment.set(name.as_bytes(), before.as_bytes());
            apply(&[go.clone(), now.clone()], &mut environment);
            let found = environment.get(name.as_bytes()).and_then(|value| value.to_str());
            assert_eq!(found, Some(after), "{before}");
        }
    }
}
