//! `--init`: what the first process of a container must do.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use predicates::str::contains;
use sigward_harness::need;
use sigward_harness::programs::{Libc, build};
use sigward_harness::signals;
use tempfile::TempDir;

use super::run;

fn receiver() -> PathBuf {
    build("receiver", Libc::Glibc).expect("the program")
}

/// A running `sigward run --init OPTIONS -- PROGRAM`.
struct Running {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    /// sigward's process.
    init: i32,
}

impl Running {
    fn start(first: bool, options: &[&str], program: &[&str]) -> Self {
        let sigward = cargo_bin!("sigward");
        let mut command = if first {
            let mut unshare = Command::new("unshare");
            unshare.args(["--pid", "--fork", "--kill-child"]).arg(sigward);
            unshare
        } else {
            Command::new(sigward)
        };
        command.env_remove("LD_PRELOAD").env("SIGWARD", "off").args(["run", "--library"]);
        command.arg(super::probe()).arg("--init").args(options).arg("--").args(program);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("sigward");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        let id = child.id() as i32;
        Self { child, output, init: if first { child_of(id) } else { id } }
    }

    fn receiver(first: bool, options: &[&str]) -> Self {
        Self::start(first, options, &[receiver().to_str().expect("UTF-8")])
    }

    fn send(&self, signal: i32) {
        signals::send(self.init, signal);
    }

    fn queue(&self, signal: i32, value: i32) {
        signals::queue(self.init, signal, value);
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line
    }

    /// Each line of the rest, and the exit code.
    fn end(mut self) -> (Vec<String>, Option<i32>) {
        let lines = self.output.by_ref().lines().map(|line| line.expect("a line")).collect();
        (lines, self.child.wait().expect("sigward").code())
    }
}

/// The only child of the process.
fn child_of(id: i32) -> i32 {
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    children.expect("/proc").trim().parse().expect("one child")
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// As the first process, and as any other.
fn places() -> &'static [bool] {
    if need::namespaces() { &[false, true] } else { &[false] }
}

#[test]
fn the_exit_code_is_the_programs() {
    let shell = |options: &[&str], script: &str| {
        run([&["--init"], options, &["sh", "-c", script]].concat()).assert()
    };
    shell(&[], "exit 7").code(7);
    shell(&[], "kill -TERM $$").code(143);
    shell(&[], "kill -KILL $$").code(137);
    shell(&["-e", "143", "-e", "3"], "exit 143").code(0);
    shell(&["-e", "143", "-e", "3"], "exit 3").code(0);
    shell(&["-e", "143"], "kill -TERM $$").code(143);
    shell(&["--expect", "256"], "").code(125);
    run(["--init", "no-such-program"]).assert().code(127);
    run(["-g", "true"]).assert().code(125).stderr(contains("--init"));
    // The file is found only by the kernel to need what is missing.
    let made = TempDir::new().expect("a folder");
    let orphan = super::script(made.path(), "orphan", "#!/no/such/interpreter\n");
    let orphan = orphan.to_str().expect("UTF-8");
    run(["--init", orphan]).env("SIGWARD", "off").assert().code(126).stderr(contains("missing"));
}

/// All of kill(1) but KILL, STOP and CHLD, and libc's own. Real-time signals arrive once each, in
/// order, and with their values.
#[test]
fn every_signal_is_passed_on() {
    for &first in places() {
        let mut running = Running::receiver(first, &[]);
        let (sent, received) = signals::send_all(running.init, &mut running.output);
        assert_eq!(running.end(), (vec![], Some(3)));
        assert_eq!(received, sent, "first process: {first}");
    }
}

#[test]
fn signals_are_rewritten_or_dropped() {
    let mut running =
        Running::receiver(false, &["--rewrite", "USR1:RTMIN+5", "--rewrite", "HUP:0"]);
    running.send(libc::SIGHUP);
    running.send(libc::SIGUSR1);
    assert_eq!(running.line(), "39 -1\n");
    running.send(libc::SIGUSR2);
    assert_eq!(running.line(), "12 -1\n");
    running.queue(64, 999);
    assert_eq!(running.end(), (vec!["64 999".to_owned()], Some(3)));
    run(["--init", "--rewrite", "TERM:NONE", "true"]).assert().code(125).stderr(contains("NONE"));
}

/// SIGTERM to the first process ends the program, with the program's own status.
#[test]
fn a_signal_ends_the_program_and_then_init() {
    for &first in places() {
        let running = Running::start(first, &[], &["sh", "-c", "echo ready; exec sleep 60"]);
        running.send(libc::SIGTERM);
        assert_eq!(running.end(), (vec![], Some(143)));
        let trap = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.1; done";
        let running = Running::start(first, &[], &["sh", "-c", trap]);
        running.send(libc::SIGTERM);
        assert_eq!(running.end(), (vec!["caught".to_owned()], Some(5)));
    }
}

#[test]
fn the_group_gets_signals_on_request() {
    // The shell handles the signal; its child does not.
    let script = "trap : TERM; sh -c 'echo ready; exec sleep 60' & wait $!; wait $!; echo ended $?";
    let running = Running::start(false, &["-g"], &["sh", "-c", script]);
    running.send(libc::SIGTERM);
    assert_eq!(running.end(), (vec!["ended 143".to_owned()], Some(0)));
}

#[test]
fn a_program_that_does_not_end_is_killed_after_the_grace() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        let running = Running::receiver(false, &["--grace", "1"]);
        let start = Instant::now();
        running.send(signal);
        assert_eq!(running.end(), (vec![format!("{signal} -1")], Some(137)));
        assert!(start.elapsed() >= Duration::from_secs(1));
    }
}

#[test]
fn ten_thousand_orphans_leave_no_zombie() {
    if !need::namespaces() {
        return;
    }
    let storm = build("orphans", Libc::Glibc).expect("the program");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(cargo_bin!("sigward"));
    command.env_remove("LD_PRELOAD").env("SIGWARD", "off").args(["run", "--library"]);
    command.arg(super::probe()).args(["--init", "--"]).arg(storm);
    let output = command.output().expect("unshare");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn orphans_are_adopted_on_request() {
    // The orphan prints its parent, once the process that made it is gone.
    let script = "echo ready; (sh -c 'sleep 0.3; ps -o ppid= -p $$ || :' & echo $PPID) | cat";
    for (options, adopted) in [(&["-s"][..], true), (&[], false)] {
        let running = Running::start(false, options, &["sh", "-c", script]);
        let init = running.init.to_string();
        let (lines, code) = running.end();
        assert_eq!((&*lines[0], code), (&*init, Some(0)));
        assert_eq!(lines[1].trim() == init, adopted, "{lines:?}");
    }
}

#[test]
fn the_end_of_the_parent_is_a_signal_on_request() {
    let out = TempDir::new().expect("a folder");
    let said = out.path().join("said");
    let script = format!(
        "\"$0\" run --library \"$1\" --init -p USR1 -- sh -c \
         'trap \"echo told >{said}; exit\" USR1; touch {said}.ready; while :; do sleep 0.1; done' & \
         while ! test -e {said}.ready; do sleep 0.1; done; kill -KILL $$",
        said = said.display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(cargo_bin!("sigward")).arg(super::probe());
    command.env_remove("LD_PRELOAD").env("SIGWARD", "off").stderr(Stdio::null());
    command.status().expect("sh");
    let start = Instant::now();
    while std::fs::read_to_string(&said).unwrap_or_default() != "told\n" {
        assert!(start.elapsed() < Duration::from_secs(60), "no signal");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What init blocks and sets for itself, the program does not get.
#[test]
fn mask_and_dispositions_are_inherited() {
    let status = |init: &[&str]| {
        let mut command = Command::new(cargo_bin!("sigward"));
        command.env_remove("LD_PRELOAD").env("SIGWARD", "off").args(["run", "--library"]);
        command.arg(super::probe()).args(init).args(["grep", "^Sig", "/proc/self/status"]);
        let arrange = || {
            // SAFETY: the set is initialised before use; the calls are async-signal-safe.
            unsafe {
                let mut set = std::mem::zeroed();
                libc::sigemptyset(&raw mut set);
                libc::sigaddset(&raw mut set, libc::SIGUSR1);
                libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
                libc::signal(libc::SIGPIPE, libc::SIG_IGN);
                libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            }
            Ok(())
        };
        // SAFETY: `arrange` only makes async-signal-safe calls.
        unsafe { command.pre_exec(arrange) };
        let output = command.output().expect("sigward");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (plain, init) = (status(&[]), status(&["--init"]));
    let masks = |text: &str| lines(text).split_off(2);
    assert!(plain.contains("SigBlk:\t0000000000000200"), "{plain}");
    assert_eq!(masks(&init), masks(&plain));
}

/// The static command, as the parent of a program that runs.
#[test]
fn what_stays_is_small() {
    let mut command = Command::new(sigward_harness::artifacts::command());
    command.env_remove("LD_PRELOAD").args(["run", "--init", "--", "sh", "-c", "echo; read x"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("sigward");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    // The program may be faster than its parent, which gives memory back after it started it.
    let mut large = Vec::new();
    for _ in 0..1000 {
        let status = format!("/proc/{}/status", child.id());
        let status = std::fs::read_to_string(status).expect("/proc");
        large.clear();
        for (field, most) in [("RssAnon:", 256), ("VmRSS:", 2560)] {
            let found = status.lines().find_map(|line| line.strip_prefix(field));
            let kib = found.expect("the field").trim().trim_end_matches(" kB");
            let kib: u32 = kib.parse().expect("a number");
            large.extend((kib > most).then(|| format!("{field} {kib} KiB")));
        }
        if large.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(child.stdin.take());
    child.wait().expect("sigward");
    assert!(large.is_empty(), "{large:?}");
}
