//! Every message of the command, as it is seen: one line, which names the thing, its value and what
//! to do about it. What clap says of wrong options has its own form.
//!
//! After a change, `SNAPSHOTS=overwrite cargo test -p sigward-command --test snapshots` writes the
//! new texts into this file.

#![allow(clippy::needless_raw_string_hashes, reason = "they are written by machine")]

use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use snapbox::{IntoData, assert_data_eq, str};
use tempfile::TempDir;

/// A folder with files of each kind. Messages name it `[FOLDER]`.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(TempDir::new().expect("a folder"));
        place.file("plain", "text\n", 0o644);
        place.file("crlf", "#!/bin/sh\r\n", 0o755);
        place.file("orphan", "#!/no/such/interpreter\n", 0o755);
        place.file("setuid", "", 0o755);
        place.file("a b.so", "", 0o644);
        for (name, at, byte) in [("arm64", 18, 183), ("32-bit", 4, 1)] {
            let mut bytes = std::fs::read("/bin/true").expect("/bin/true");
            bytes[at] = byte;
            place.file(name, bytes, 0o755);
        }
        place
    }

    fn file(&self, name: &str, contents: impl AsRef<[u8]>, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.path().join(name);
        std::fs::write(&path, contents).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("chmod");
    }

    /// `sigward ARGUMENTS` writes this to stderr, and ends with this code.
    #[track_caller]
    fn says(&self, arguments: &str, code: i32, expected: impl IntoData) {
        self.says_with(&[], arguments, code, expected);
    }

    #[track_caller]
    fn says_with(
        &self,
        variables: &[(&str, &str)],
        arguments: &str,
        code: i32,
        expected: impl IntoData,
    ) {
        let folder = self.0.path().canonicalize().expect("the folder");
        let mut command = Command::new(cargo_bin!("sigward"));
        for row in sigward::config::TABLE {
            command.env_remove(row.name);
        }
        command.env_remove("LD_PRELOAD").env("NO_COLOR", "1").current_dir(&folder);
        command.envs(variables.iter().copied()).args(arguments.split_whitespace());
        let output = command.output().expect("sigward");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        let said = said.replace(folder.to_str().expect("UTF-8"), "[FOLDER]");
        assert_eq!(output.status.code(), Some(code), "{said}");
        let ours = said.lines().all(|line| line.starts_with("sigward: "));
        assert!(said.starts_with("error: ") || ours, "{said}");
        assert_data_eq!(said, expected.into_data().raw());
    }
}

#[test]
fn of_programs() {
    let place = Place::new();
    place.says(
        "run no-such-program",
        127,
        str![[r#"
sigward: no-such-program: not found

"#]],
    );
    place.says(
        "run ./none",
        127,
        str![[r#"
sigward: ./none: No such file or directory (os error 2)

"#]],
    );
    place.says(
        "run ./plain",
        126,
        str![[r#"
sigward: ./plain: Permission denied

"#]],
    );
    place.says(
        "run ./",
        126,
        str![[r#"
sigward: ./: not a regular file

"#]],
    );
    place.says("run ./crlf", 126, str![[r#"
sigward: ./crlf: its interpreter cannot be executed: /bin/sh\r: No such file or directory (os error 2); install it, or change the #! line

"#]]);
    place.says("run ./orphan", 126, str![[r#"
sigward: ./orphan: its interpreter cannot be executed: /no/such/interpreter: No such file or directory (os error 2); install it, or change the #! line

"#]]);
    place.says("run ./arm64", 125, str![[r#"
sigward: ./arm64 would run without protection: it is for another machine (ARM64, the library is for x86-64); run it anyway with --force

"#]]);
    place.says("run ./32-bit", 125, str![[r#"
sigward: ./32-bit would run without protection: it is not a 64-bit program, but the library is 64-bit; run it anyway with --force

"#]]);
}

#[test]
fn of_libraries() {
    let place = Place::new();
    place.says("run --library none.so true", 125, str![[r#"
sigward: cannot read the library [FOLDER]/none.so: No such file or directory (os error 2); give another path with --library PATH

"#]]);
    place.says("run --library plain true", 125, str![[r#"
sigward: [FOLDER]/plain is not libsigward.so: not an ELF shared object with that SONAME; give another file with --library PATH

"#]]);
    place.says("run --library . true", 125, str![[r#"
sigward: [FOLDER] is not libsigward.so: not an ELF shared object with that SONAME; give another file with --library PATH

"#]]);
    place.says("run --library /dev/null true", 125, str![[r#"
sigward: /dev/null is not libsigward.so: not an ELF shared object with that SONAME; give another file with --library PATH

"#]]);
    place.says("run --library /proc/self/fd/0 true", 125, str![[r#"
sigward: the library /proc/self/fd/0 is a descriptor, which later programs do not have; give the path of a file with --library PATH

"#]]);
    place.says("run --library /$LIB/libsigward.so true", 125, str![[r#"
sigward: the path of the library contains '$', where the loader would split it: /$LIB/libsigward.so; move the library, or give a path without blanks, colons and $ with --library

"#]]);
    place.says(
        "library --extract plain",
        125,
        str![[r#"
sigward: --extract plain: File exists (os error 17); give a folder in which you can write

"#]],
    );
}

#[test]
fn of_settings() {
    let place = Place::new();
    place.says_with(
        &[("SIGWARD", "onn")],
        "run true",
        125,
        str![[r#"
sigward: SIGWARD=onn: not accepted; accepted: auto, on, off, observe

"#]],
    );
    place.says_with(&[("SIGWARD_STACK", "huge")], "run true", 125, str![[r#"
sigward: SIGWARD_STACK=huge: not accepted; accepted: auto, off, full, a number of bytes (suffix K, M or G)

"#]]);
    place.says(
        "run --set PATH=/ true",
        125,
        str![[r#"
sigward: --set PATH=/: not SIGWARD_…=VALUE; for other variables use env(1)

"#]],
    );
    place.says(
        "run --set SIGWARD_NONE=1 true",
        125,
        str![[r#"
sigward: SIGWARD_NONE=1: no such variable; see `sigward run --help`

"#]],
    );
    place.says("run --memlock 1k true", 125, str![[r#"
error: invalid value '1k' for '--memlock <SIZE>': accepted: max, or a number of bytes, which may end with K, M or G

For more information, try '--help'.

"#]]);
    place.says("run --init --rewrite TERM:NONE true", 125, str![[r#"
error: invalid value 'TERM:NONE' for '--rewrite <A:B>': NONE is no signal; accepted: names as TERM, SIGTERM or RTMIN+3, and 1 to 64

For more information, try '--help'.

"#]]);
    place.says("run --init --parent-death-signal 65 true", 125, str![[r#"
error: invalid value '65' for '--parent-death-signal <SIG>': 65 is no signal; accepted: names as TERM, SIGTERM or RTMIN+3, and 1 to 64

For more information, try '--help'.

"#]]);
    place.says(
        "run -g true",
        125,
        str![[r#"
error: the following required arguments were not provided:
  --init

Usage: sigward run --init --group <CMD>...

For more information, try '--help'.

"#]],
    );
    place.says(
        "run",
        125,
        str![[r#"
error: the following required arguments were not provided:
  <CMD>...

Usage: sigward run <CMD>...

For more information, try '--help'.

"#]],
    );
}

#[test]
fn of_what_is_lost() {
    let place = Place::new();
    place.says("run env -i true", 0, str![[r#"
sigward: warning: env clears it: what it starts is not covered; put `sigward run` after it, before that program

"#]]);
}

#[test]
fn of_doctor_and_check() {
    let place = Place::new();
    place.says(
        "doctor none",
        2,
        str![[r#"
sigward: none: not found

"#]],
    );
    place.says(
        "doctor 4194305",
        2,
        str![[r#"
sigward: 4194305: no such process, or it has just ended

"#]],
    );
    place.says(
        "doctor 99999999999",
        125,
        str![[r#"
sigward: 99999999999: no process has this number; for a program of that name, write ./ before it

"#]],
    );
    place.says(
        "doctor ./",
        2,
        str![[r#"
sigward: ./: a folder, not a program

"#]],
    );
    place.says(
        "doctor ./orphan ./none",
        2,
        str![[r#"
sigward: ./orphan: /no/such/interpreter: not found
sigward: ./none: not found

"#]],
    );
    place.says(
        "check --explain none",
        125,
        str![[r#"
sigward: --explain none: no row has this id or CVE number; sigward check --all lists them

"#]],
    );
    place.says(
        "check --output none/file",
        125,
        str![[r#"
sigward: cannot write to none/file: No such file or directory (os error 2)

"#]],
    );
    place.says(
        "no-such-command",
        125,
        str![[r#"
error: unrecognized subcommand 'no-such-command'

Usage: sigward <COMMAND>

For more information, try '--help'.

"#]],
    );
}
