//! Threads, children and processes that come and go.

use std::io::BufRead;
use std::thread;
use std::time::Duration;

use sigward_harness::artifacts;
use sigward_harness::programs::{Libc, build, copy};

use super::running::{Running, look, stands};
use super::*;

#[test]
fn threads_and_children_without_cover_are_named() {
    let with_a_thread = |stack, code, standing, why| {
        let mut command = Command::new(build("past_libc", Libc::Glibc).unwrap());
        command.env("LD_PRELOAD", artifacts::preload());
        command.env("SIGWARD", "on").env("SIGWARD_STACK", stack);
        let mut running = Running::ready(&mut command);
        running.ask("t");
        let report = stands(&running.pid(), code, standing, why);
        let threads = report["threads"].as_array().unwrap();
        assert_eq!(threads.len(), 2);
        let second = threads[1].clone();
        assert_eq!((&second["alternate_stacks"], &second["takes"]), (&0.into(), &1.into()));
        (running, second)
    };
    // Its handler would run on the ordinary stack.
    let (_, thread) = with_a_thread("auto", 0, "covered", "");
    assert_eq!(thread["ordinary_held"], true);
    let why = "threads that take signals and have no stack on record: ";
    let (_running, thread) = with_a_thread("off", 1, "partly-covered", why);
    assert_eq!((&thread["ordinary_held"], &thread["uncovered"]), (&false.into(), &true.into()));
    // A thread's number is its process's.
    let thread = thread["thread"].as_u64().unwrap().to_string();
    let report = stands(&thread, 1, "partly-covered", why);
    assert!(joined(&report["notes"]).contains("is a thread of process"), "{report:#}");

    let mut shell = Command::new("sh");
    shell.args(["-c", "env -u LD_PRELOAD sleep 60 & echo r 0 0; read line; kill $!"]);
    shell.env("LD_PRELOAD", artifacts::preload()).env("SIGWARD", "on");
    let running = Running::ready(&mut shell);
    let named = || {
        let report = look(&running.pid()).1;
        let children = &report["children"]["without"];
        children[0]["command"] == "sleep"
            && joined(&report["notes"]).contains("children without the library")
    };
    // The child is the shell's copy until it has executed `env` and `sleep`.
    assert!((0..500).any(|_| named() || {
        thread::sleep(Duration::from_millis(10));
        false
    }));
}

#[test]
fn a_process_that_has_ended_is_told() {
    let mut running = Running::with(Libc::Glibc, "on");
    let pid = running.pid();
    running.child.kill().unwrap();
    // It is a zombie until it is waited for.
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    while !state().contains(") Z") {
        thread::sleep(Duration::from_millis(1));
    }
    stands(&pid, 0, "nothing-to-cover", "it has ended");
    running.child.wait().unwrap();
    let output = output([&pid]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr),
        format!("sigward: {pid}: no such process, or it has just ended\n")
    );
}

#[test]
fn a_process_whose_first_thread_has_ended_is_seen() {
    let source = "#include <pthread.h>\n#include <stdio.h>\n#include <unistd.h>\n\
                  static void *rest(void *first) {\n\
                      pthread_join(*(pthread_t *)first, NULL);\n\
                      puts(\"r 0 0\");\n\
                      fflush(stdout);\n\
                      char byte;\n\
                      _exit(read(0, &byte, 1));\n\
                  }\n\
                  int main(void) {\n\
                      static pthread_t self, other;\n\
                      self = pthread_self();\n\
                      pthread_create(&other, NULL, rest, &self);\n\
                      pthread_exit(NULL);\n\
                  }\n";
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(gcc(folder.path(), "headless", source, &["-pthread"]));
    command.env("LD_PRELOAD", artifacts::preload()).env("SIGWARD", "on");
    let running = Running::ready(&mut command);
    stands(&running.pid(), 0, "covered", "to act (set)");
}

#[test]
fn names_cannot_write_on_the_terminal() {
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("a\x1b[2Jb");
    copy(&build("past_libc", Libc::Glibc).unwrap(), &program).unwrap();
    let mut command = Command::new(&program);
    command.env("LD_PRELOAD", artifacts::preload());
    command.env("SIGWARD", "on").env("SIGWARD_STACK", "off");
    let mut running = Running::ready(&mut command);
    running.ask("t");
    let options = ["-Wl,-rpath,he\x1bre"];
    let odd = gcc(folder.path(), "odd", "int main(void) { return 0; }\n", &options);
    let all = output([running.pid(), odd.to_str().unwrap().to_owned()]);
    let human = text(&all.stdout);
    assert!(!human.contains('\x1b'), "{human:?}");
    assert!(human.contains("no stack on record") && human.contains("odd search path"), "{human}");
    assert_eq!(human.matches("a\\u{1b}[2Jb").count(), 2, "{human}");
}

#[test]
fn stacks_that_come_and_go_raise_no_alarm() {
    let mut command = Command::new(build("published", Libc::Glibc).unwrap());
    command.env("LD_PRELOAD", artifacts::preload()).env("SIGWARD", "on");
    let mut running = Running::start(&mut command);
    running.lines.read_line(&mut String::new()).unwrap();
    for _ in 0..10 {
        // It has a copy made past the library, so one thing is wrong, and always is.
        let report = stands(&running.pid(), 1, "partly-covered", "shared with a forked copy");
        assert_eq!(report["because"].as_array().unwrap().len(), 1, "{:#}", report["because"]);
        assert!(report["stacks"].as_array().unwrap().len() > 16);
    }
}

#[test]
fn all_processes_are_looked_at_while_some_come_and_go() {
    let covered = Running::with(Libc::Glibc, "on");
    let bare = Running::ready(&mut Command::new(build("past_libc", Libc::Glibc).unwrap()));
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = Command::new("true").env("LD_PRELOAD", artifacts::preload()).status();
            }
        });
        for _ in 0..2 {
            let (code, report) = json([&AFFECTED[..], &["--all"]].concat());
            assert_eq!(code, 1);
            let standing = |running: &Running| {
                let all = report["processes"].as_array().unwrap().iter();
                let mut own = all.filter(|it| it["pid"] == running.child.id());
                own.next().map(|report| report["standing"].as_str().unwrap().to_owned())
            };
            assert_eq!(standing(&covered).as_deref(), Some("covered"));
            assert_eq!(standing(&bare).as_deref(), Some("not-covered"));
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
