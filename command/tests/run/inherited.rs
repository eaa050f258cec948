//! The program gets what sigward was given: descriptors, environment, mask, dispositions.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use sigward_harness::artifacts;
use sigward_harness::need;
use sigward_harness::programs::copy;
use tempfile::TempDir;

use super::{bare, gcc, limited, mode, probe, write};

/// A static program made of `source`.
fn program(folder: &Path, name: &str, source: &str) -> PathBuf {
    let (text, program) = (folder.join(format!("{name}.c")), folder.join(name));
    write(&text, source);
    gcc(&["-static", "-o"], &program, &text);
    program
}

/// Its exit code says which of descriptors 0 to 3 are closed.
const CLOSED: &str = "
#include <fcntl.h>
int main(void) {
    int closed = 0;
    for (int fd = 0; fd < 4; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            closed |= 1 << fd;
    return closed;
}
";

#[test]
fn closed_descriptors_stay_closed() {
    let made = TempDir::new().expect("a folder");
    let closed = program(made.path(), "closed", CLOSED);
    for set in 0..8 {
        let mut command = bare();
        command.arg("--library").arg(probe()).arg("--force").arg(&closed);
        let close = move || {
            for fd in (0..3).filter(|fd| set & 1 << fd != 0) {
                // SAFETY: an async-signal-safe call.
                unsafe { libc::close(fd) };
            }
            Ok(())
        };
        // SAFETY: `close` makes async-signal-safe calls only.
        unsafe { command.pre_exec(close) };
        let status = command.status().expect("sigward");
        assert_eq!(status.code(), Some(set | 8), "closed: {set:03b}");
    }
}

#[test]
fn dev_null_is_not_needed() {
    if !need::root() {
        return;
    }
    let root = TempDir::new().expect("a folder");
    program(root.path(), "closed", CLOSED);
    copy(artifacts::command(), &root.path().join("sigward")).expect("a copy");
    copy(&probe(), &root.path().join("lib.so")).expect("a copy");
    mode(&root.path().join("lib.so"), 0o644);
    let script = "exec chroot \"$0\" /sigward run --library /lib.so --force /closed <&- 2>&-";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(root.path());
    assert_eq!(command.status().expect("sh").code(), Some(0b1101));
}

/// Also entries without `=`, without a name, of any bytes, and twice.
#[test]
fn every_entry_of_the_environment_is_passed_on() {
    let made = TempDir::new().expect("a folder");
    let odd = program(
        made.path(),
        "odd",
        r#"
#include <unistd.h>
int main(int count, char **arguments) {
    char *odd[] = {"ALONE", "A=1", "=x", "A=2", "B=\xff\n\x01", "", "SIGWARD=off", 0};
    return execve(arguments[1], arguments + 1, odd), 1;
}
"#,
    );
    let mut command = Command::new(&odd);
    command.arg(cargo_bin!("sigward")).args(["run", "--library"]).arg(probe());
    command.args(["/bin/cat", "/proc/self/environ"]);
    let output = limited(command).assert().success().get_output().stdout.clone();
    let expected = b"ALONE\0A=1\0=x\0A=2\0B=\xff\n\x01\0\0SIGWARD=off\0LD_PRELOAD=";
    assert!(output.starts_with(expected), "{:?}", String::from_utf8_lossy(&output));
}

fn status_field(output: &[u8], field: &str) -> u64 {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
    u64::from_str_radix(line.trim(), 16).expect("hexadecimal")
}

#[test]
fn signal_mask_and_sigpipe_are_inherited() {
    const SIGPIPE: u64 = 1 << (libc::SIGPIPE - 1);
    const SIGUSR1: u64 = 1 << (libc::SIGUSR1 - 1);
    for special in [false, true] {
        let mut command = bare();
        command.arg("--library").arg(probe()).args(["cat", "/proc/self/status"]);
        if special {
            let arrange = || {
                // SAFETY: the set is initialised before use; all three calls are
                // async-signal-safe.
                unsafe {
                    let mut set = std::mem::zeroed();
                    libc::sigemptyset(&raw mut set);
                    libc::sigaddset(&raw mut set, libc::SIGUSR1);
                    libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
                    libc::signal(libc::SIGPIPE, libc::SIG_IGN);
                }
                Ok(())
            };
            // SAFETY: `arrange` only makes async-signal-safe calls.
            unsafe { command.pre_exec(arrange) };
        }
        let output = limited(command).assert().success().get_output().stdout.clone();
        assert_eq!(status_field(&output, "SigIgn:") & SIGPIPE != 0, special, "SIGPIPE ignored");
        assert_eq!(status_field(&output, "SigBlk:") & SIGUSR1 != 0, special, "SIGUSR1 blocked");
    }
}
