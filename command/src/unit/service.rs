//! What `systemctl show` says about a service.

/// The properties that are asked for.
pub const ASKED: [&str; 10] = [
    "LoadState",
    "Environment",
    "EnvironmentFiles",
    "LimitMEMLOCK",
    "SystemCallFilter",
    "RootDirectory",
    "RootImage",
    "NoExecPaths",
    "TemporaryFileSystem",
    "ExecStart",
];

/// Calls that the library makes where it acts. Without one of them it stands down.
const CALLS: [&str; 12] = [
    "futex",
    "madvise",
    "mlock",
    "mmap",
    "mprotect",
    "msync",
    "munlock",
    "munmap",
    "prlimit64",
    "process_vm_writev",
    "rt_sigprocmask",
    "sigaltstack",
];

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its own `LD_PRELOAD`.
    pub preload: Option<String>,
    /// Files that may set it again.
    pub environment_files: Option<String>,
    /// `None`: no limit, or not known.
    pub memlock: Option<u64>,
    pub memlock_is_unlimited: bool,
    /// Calls of ours that its filter refuses.
    pub refused: Vec<&'static str>,
    /// Settings by which it may not see the library.
    pub sandbox: Vec<String>,
    pub programs: Vec<String>,
}

/// The unit's full name. `None` if it cannot be that of a service.
pub fn name(given: &str) -> Option<String> {
    let stem = given.strip_suffix(".service").unwrap_or(given);
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "@:-_.\\".contains(letter);
    let other = [".socket", ".timer", ".target", ".mount", ".path", ".slice", ".scope", ".device"];
    let is_name = !stem.is_empty()
        && !stem.starts_with(['-', '.'])
        && stem.chars().all(fits)
        && !other.iter().any(|ending| stem.ends_with(ending));
    is_name.then(|| format!("{stem}.service"))
}

impl Service {
    pub fn read(text: &str) -> Self {
        let mut service = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            if value.is_empty() {
                continue;
            }
            match name {
                "Environment" => {
                    let entries = words(value);
                    let mut own = entries.iter().filter_map(|it| it.strip_prefix("LD_PRELOAD="));
                    service.preload =
                        own.next_back().filter(|it| !it.is_empty()).map(str::to_owned);
                }
                "EnvironmentFiles" => service.environment_files = Some(value.to_owned()),
                "LimitMEMLOCK" => {
                    service.memlock_is_unlimited = value == "infinity";
                    service.memlock = value.parse().ok();
                }
                "SystemCallFilter" => service.refused = refused(value),
                "RootDirectory" | "RootImage" | "NoExecPaths" | "TemporaryFileSystem" => {
                    service.sandbox.push(format!("{name}={value}"));
                }
                "ExecStart" => {
                    let path = value.split("path=").nth(1).and_then(|it| it.split(" ;").next());
                    service.programs.extend(path.map(str::to_owned));
                }
                _ => {}
            }
        }
        service
    }
}

/// The calls of ours that a filter refuses: a list of what it allows, or with ~ of what not.
fn refused(filter: &str) -> Vec<&'static str> {
    let (is_denial, list) = match filter.strip_prefix('~') {
        Some(list) => (true, list),
        None => (false, filter),
    };
    // A call may have an error number behind it.
    let names: Vec<&str> =
        list.split_whitespace().filter_map(|name| name.split(':').next()).collect();
    CALLS.into_iter().filter(|call| names.contains(call) == is_denial).collect()
}

/// The words of a value, in which systemd quotes those that need it.
fn words(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut letters) = (false, value.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '"' => quoted = !quoted,
            '\\' => word.extend(letters.next()),
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gets_its_ending() {
        assert_eq!(name("php-fpm").as_deref(), Some("php-fpm.service"));
        assert_eq!(name("a@b.service").as_deref(), Some("a@b.service"));
        for wrong in ["", "x.socket", "../x", "two words", "-x", ".service", "a/b", "x\n[Service]"]
        {
            assert_eq!(name(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_systemd_says_is_read() {
        let service = Service::read(
            "LoadState=loaded\nEnvironment=A=1 \"LD_PRELOAD=/a.so /b.so\" B=\\\"2\n\
             LimitMEMLOCK=8388608\nRootDirectory=\nRootImage=/x.raw\n\
             ExecStart={ path=/usr/sbin/server ; argv[]=/usr/sbin/server -D ; ignore_errors=no }\n",
        );
        assert_eq!(service.preload.as_deref(), Some("/a.so /b.so"));
        assert_eq!(service.memlock, Some(8 << 20));
        assert_eq!(service.sandbox, ["RootImage=/x.raw"]);
        assert_eq!(service.programs, ["/usr/sbin/server"]);
        assert!(service.refused.is_empty());
        assert!(Service::read("LimitMEMLOCK=infinity\n").memlock_is_unlimited);
    }

    #[test]
    fn a_filter_allows_a_list_or_all_but_a_list() {
        assert_eq!(refused("~mlock mlockall munlock:EPERM"), ["mlock", "munlock"]);
        assert_eq!(refused(&CALLS.join(" ")), [""; 0]);
        assert_eq!(refused("read write").len(), CALLS.len());
    }
}
