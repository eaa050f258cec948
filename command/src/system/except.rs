//! The programs that are left alone: the file that lists them, and the file made of it for
//! systemd. The library reads no file; what reaches it is its environment.

use super::place;

/// What an install writes, if there is no list yet.
pub const DEFAULT: &str = "\
# Programs in which sigward's library does nothing: one name a line, without its folder; * and ?
# stand for other letters. After a change, run `sigward install --system` again and restart the
# services (or the host).
#
# The library itself does not read this file: it gets the list as SIGWARD_EXCEPT from systemd,
# which sets it for its services. Logins, cron jobs and what starts with an environment of its
# own do not get it.

# What one looks at a host in trouble with.
gdb
gdbserver
rr
perf
strace
ltrace
valgrind*
memcheck-*
# It copies and moves the memory of others.
criu
# What brings the host up and down.
init
systemd
systemd-*
";

/// The patterns in `text`.
///
/// # Errors
/// Names a line that is not a pattern.
pub fn patterns(text: &str) -> Result<Vec<&str>, String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let all: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    // Neither the list's comma nor what systemd would expand or split at.
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "._+-@*?".contains(letter);
    match all.iter().find(|pattern| !pattern.chars().all(fits)) {
        Some(wrong) => Err(format!("{}: {wrong:?} is not a name or pattern", place::EXCEPT)),
        None => Ok(all),
    }
}

/// The setting that gives `patterns` to systemd's services.
pub fn defaults(patterns: &[&str]) -> String {
    format!(
        "# Made of {} by `sigward install --system`.\n\
         [Manager]\n\
         DefaultEnvironment=\"SIGWARD_EXCEPT={}\"\n",
        place::EXCEPT,
        patterns.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT, defaults, patterns};

    #[test]
    fn the_default_list_is_one() {
        let all = patterns(DEFAULT).unwrap();
        assert!(all.contains(&"gdb") && all.contains(&"systemd-*"), "{all:?}");
        assert!(defaults(&all).contains("\nDefaultEnvironment=\"SIGWARD_EXCEPT=gdb,gdbserver,"));
    }

    #[test]
    fn what_would_become_something_else_is_refused() {
        assert_eq!(patterns("  java  # slow\n\n# php\n"), Ok(vec!["java"]));
        for wrong in ["/usr/bin/java", "java,php", "two words", "a%b", "a\"b", "$HOME", "é"] {
            assert!(patterns(wrong).is_err(), "{wrong}");
        }
    }
}
