//! `--init` on a real terminal, under a shell with job control.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use sigward_harness::need;

/// The program has started.
const LOADED: &str = "PROBE LOADED\r\n";

/// A program on a terminal of its own.
struct Session {
    terminal: File,
    child: Child,
    /// What was read and not yet expected.
    text: String,
    /// All that was read.
    seen: String,
}

impl Session {
    fn start(mut command: Command) -> Self {
        // Both ends are closed at an exec: what tests start at the same time does not get them.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let terminal = posix_openpt(flags).expect("a terminal");
        grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("a terminal");
        let name = ptsname_r(&terminal).expect("its name");
        let inside = File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(name);
        let inside = inside.expect("its other end");
        let terminal = File::from(OwnedFd::from(terminal));
        let end = || inside.try_clone().expect("a descriptor");
        command.stdin(end()).stdout(end()).stderr(end()).env("PS1", "prompt> ");
        let become_session = || {
            // SAFETY: plain calls, async-signal-safe.
            unsafe {
                // A job in the background of a script ignores both.
                libc::signal(libc::SIGINT, libc::SIG_DFL);
                libc::signal(libc::SIGQUIT, libc::SIG_DFL);
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
            }
            Ok(())
        };
        // SAFETY: async-signal-safe calls only.
        unsafe { command.pre_exec(become_session) };
        let child = command.spawn().expect("a shell");
        Self { terminal, child, text: String::new(), seen: String::new() }
    }

    fn write(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).expect("the terminal");
    }

    /// Writes a line to cat(1): the terminal shows it, and then cat does.
    fn echoes(&mut self, line: &str) {
        self.write(&format!("{line}\n"));
        self.expect(&format!("{line}\r\n"));
        self.expect(&format!("{line}\r\n"));
    }

    /// Reads until `text` has come, and forgets what came before.
    fn expect(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some((_, rest)) = self.text.split_once(text) {
                self.text = rest.to_owned();
                return;
            }
            let mut ready = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
            poll(&mut ready, 1000_u16).expect("poll");
            assert!(Instant::now() < end, "no {text:?} in {:?}", self.seen);
            if ready[0].any() == Some(true) {
                let mut bytes = [0; 4096];
                let read = self.terminal.read(&mut bytes);
                let count = read.as_ref().map_or(0, |count| *count);
                if count == 0 {
                    let ended = self.child.wait();
                    panic!("{read:?}, {ended:?}, and no {text:?} in {:?}", self.seen);
                }
                let text = String::from_utf8_lossy(&bytes[..count]);
                self.text.push_str(&text);
                self.seen.push_str(&text);
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An interactive shell in which `$S` runs a program under `--init`.
fn shell() -> Option<Session> {
    let bash = need::program("bash")?;
    let mut command = Command::new(bash);
    command.args(["--norc", "--noprofile", "--noediting", "-i"]);
    Some(Session::start(in_which_s_runs(command)))
}

fn in_which_s_runs(mut command: Command) -> Command {
    let run = format!(
        "{} run --library {} --init --",
        cargo_bin!("sigward").display(),
        super::probe().display()
    );
    command.env("S", run).env("SIGWARD", "off").env_remove("LD_PRELOAD");
    command
}

/// The program reads the terminal, so it is its foreground.
#[test]
fn the_program_gets_the_terminal() {
    let Some(mut shell) = shell() else { return };
    shell.write("$S cat; echo code=$?\n");
    shell.expect(LOADED);
    shell.echoes("hello");
    // The interrupt character.
    shell.write("\x03");
    shell.expect("code=130");
    // And the shell has it back.
    shell.write("echo o\"n\"ce\n");
    shell.expect("once\r\n");
}

/// The shell sees its job stopped, and can continue it in the foreground and the background.
#[test]
fn the_job_stops_and_continues() {
    let Some(mut shell) = shell() else { return };
    shell.write("$S cat\n");
    shell.expect(LOADED);
    shell.echoes("one");
    shell.write("\x1a");
    shell.expect("Stopped");
    shell.write("fg\n");
    shell.expect("cat\r\n");
    shell.echoes("two");
    shell.write("\x1a");
    shell.expect("Stopped");
    // In the background, it stops when it reads.
    shell.write("bg; sleep 0.2; jobs\n");
    shell.expect("Stopped");
    shell.write("fg\n");
    shell.expect("cat\r\n");
    shell.echoes("three");
    // The end of input.
    shell.write("\x04");
    shell.expect("prompt> ");
    shell.write("echo code=$?\n");
    shell.expect("code=0");
}

/// A job in the background leaves the terminal to the shell.
#[test]
fn a_job_in_the_background_does_not_take_the_terminal() {
    let Some(mut shell) = shell() else { return };
    shell.write("$S sleep 60 &\n");
    shell.expect("prompt> ");
    shell.write("echo st\"i\"ll; kill %1; wait %1; echo code=$?\n");
    shell.expect("still\r\n");
    shell.expect("code=143");
}

/// A script has no job control: its jobs are in its own group.
#[test]
fn a_job_in_the_background_of_a_script_does_not_take_the_terminal() {
    let mut command = Command::new("sh");
    command.args(["-c", "$S sleep 60 & read line; echo \"got $line\"; kill $!; wait $!; echo $?"]);
    let mut script = Session::start(in_which_s_runs(command));
    script.expect(LOADED);
    script.write("a line\n");
    script.expect("got a line\r\n143\r\n");
}

/// In the foreground, the program gets it, also where the shell's group is its own.
#[test]
fn a_script_gives_the_terminal_to_its_program() {
    let mut command = Command::new("sh");
    command.args(["-c", "$S cat; echo code=$?"]);
    let mut script = Session::start(in_which_s_runs(command));
    script.expect(LOADED);
    script.echoes("hello");
    script.write("\x04");
    script.expect("code=0");
}

#[test]
fn colours_are_left_out_on_request() {
    for (variable, coloured) in [("OTHER", true), ("NO_COLOR", false)] {
        let mut command = Command::new(cargo_bin!("sigward"));
        command.args(["run", "--no-such-option"]).env_remove("NO_COLOR").env("TERM", "xterm");
        command.env(variable, "1");
        let mut session = Session::start(command);
        session.expect("Usage");
        assert_eq!(session.seen.contains('\x1b'), coloured, "{variable}: {:?}", session.seen);
    }
}
