//! Parses the environment's bytes into settings. Async-signal-safe.

use core::fmt;

use super::settings::Config;
use super::table::{Accepted, Field, TABLE};
use super::values::Mode;

/// A variable that is ignored because of its value or its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadValue<'a> {
    /// The name in the environment.
    pub name: &'a [u8],
    /// The value in the environment.
    pub value: &'a [u8],
    /// What would be accepted; `None` if there is no variable of this name.
    pub accepted: Option<Accepted>,
}

impl fmt::Display for BadValue<'_> {
    /// Writes the variable, its value and the remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}: ", self.name.escape_ascii(), self.value.escape_ascii())?;
        match self.accepted {
            Some(accepted) => write!(f, "not accepted; accepted: {accepted}"),
            None => f.write_str("no such variable; see `sigward run --help`"),
        }
    }
}

/// The prefix of every variable's name.
pub const PREFIX: &[u8] = b"SIGWARD";

/// Reads the settings from `environ` (`NAME=VALUE` each) for the program at the
/// path `program`.
///
/// If a variable occurs more than once, the first one counts, as for `getenv`.
/// An empty value means the default. A value that is not accepted means the
/// default too, after a call of `warn`.
pub fn parse<'a>(
    environ: impl Iterator<Item = &'a [u8]>,
    program: &[u8],
    mut warn: impl FnMut(BadValue<'a>),
) -> Config {
    let mut config = Config::DEFAULT;
    let mut seen = 0_u32;
    let (mut only, mut except): (&[u8], &[u8]) = (b"", b"");
    for variable in environ {
        if !variable.starts_with(PREFIX) {
            continue;
        }
        let Some((name, value)) = split_at_equals(variable) else {
            continue;
        };
        let Some(row) = TABLE.iter().find(|row| row.name.as_bytes() == name) else {
            // `SIGWARDEN` belongs to something else.
            if name.get(PREFIX.len()) == Some(&b'_') && !is_service_link(name, value) {
                warn(BadValue { name, value, accepted: None });
            }
            continue;
        };
        let bit = 1_u32 << row.field as u32;
        if seen & bit != 0 {
            continue;
        }
        seen |= bit;
        match row.field {
            _ if value.is_empty() => {}
            Field::Only => only = value,
            Field::Except => except = value,
            field => {
                if !config.set(field, value) {
                    warn(BadValue { name, value, accepted: Some(row.accepted()) });
                }
            }
        }
    }
    let name = base_name(program);
    config.excluded =
        (patterns(only).next().is_some() && !listed(only, name)) || listed(except, name);
    if config.excluded {
        config.mode = Mode::Off;
    }
    config
}

/// Whether Kubernetes may have set this variable. It gives every container of a
/// namespace several variables for each Service in it. A Service named
/// `sigward`, or `sigward-` and anything, produces variables with our prefix.
/// Nobody set those on purpose, so they are no mistake to report.
///
/// Source: Kubernetes, "Connecting Applications with Services". The `_PORT`
/// ones follow Docker's container links.
fn is_service_link(name: &[u8], value: &[u8]) -> bool {
    const PROTOCOLS: [&[u8]; 3] = [b"TCP", b"UDP", b"SCTP"];
    if name.ends_with(b"_SERVICE_HOST") {
        return true;
    }
    if name.ends_with(b"_PORT") && value.windows(3).any(|part| part == b"://") {
        return true;
    }
    // Looks at each word together with the two after it, from the last to the
    // first.
    let (mut next, mut second): (&[u8], &[u8]) = (b"", b"");
    name.rsplit(|byte| *byte == b'_').any(|word| {
        let number = !next.is_empty() && next.iter().all(u8::is_ascii_digit);
        let found = (word == b"SERVICE" && next == b"PORT")
            || (word == b"PORT" && number && PROTOCOLS.contains(&second));
        (next, second) = (word, next);
        found
    })
}

fn split_at_equals(variable: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = variable.iter().position(|byte| *byte == b'=')?;
    Some((variable.get(..at)?, variable.get(at..)?.strip_prefix(b"=")?))
}

/// The part after the last slash.
#[must_use]
pub fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

fn patterns(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|pattern| !pattern.is_empty())
}

fn listed(list: &[u8], name: &[u8]) -> bool {
    patterns(list).any(|pattern| glob_matches(pattern, name))
}

/// Whether `pattern` (`*` for any run, `?` for any one byte) matches all of
/// `name`.
///
/// It only remembers the last `*` to return to: at most `pattern.len() *
/// name.len()` steps, no recursion.
#[must_use]
pub fn glob_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => return true,
            (Some((b'*', behind)), _) => {
                retry = Some((behind, name));
                pattern = behind;
                continue;
            }
            (Some((wanted, behind)), Some((byte, rest))) if *wanted == b'?' || wanted == byte => {
                (pattern, name) = (behind, rest);
                continue;
            }
            _ => {}
        }
        // Let the last `*` match one more byte.
        let Some((behind, from)) = retry else {
            return false;
        };
        let Some((_, rest)) = from.split_first() else {
            return false;
        };
        retry = Some((behind, rest));
        (pattern, name) = (behind, rest);
    }
}
