//! Live processes: the library's word, and the kernel's.

use std::io::BufRead;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use sigward_harness::programs::{Libc, build, build_with, copy, libcs};
use sigward_harness::{artifacts, need};

use super::running::{Running, alternate, stands};
use super::*;

/// The whole report on a covered process.
pub fn a_covered_report() -> Value {
    let running = Running::with(Libc::Glibc, "on");
    json([&running.pid()]).1
}

#[test]
fn a_covered_process_is_covered_by_both_words() {
    for &libc in libcs() {
        let mut running = Running::with(libc, "on");
        let (base, _) = running.ask("r");
        let report = stands(&running.pid(), 0, "covered", "to act (set)");
        let library = &report["libraries"][0];
        assert!(library["path"].as_str().unwrap().ends_with("/libsigward.so"), "{report:#}");
        let (plan, force) = (&library["plan"], &library["in_force"]);
        assert_eq!((&plan["duty"], &plan["reason"]), (&"act".into(), &"set".into()));
        assert_eq!((&force["duty"], &force["owner"]), (&"act".into(), &running.child.id().into()));
        let stack = alternate(&report);
        assert_eq!((&stack["base"], &stack["bytes"]), (&base.into(), &65536.into()));
        assert_eq!((&stack["rung"], &stack["locked"]), (&"lock".into(), &65536.into()));
        assert_eq!(stack["kernel_locked"], 65536);
        assert_eq!((&stack["kernel_present"], &stack["kernel_shared"]), (&65536.into(), &0.into()));
        let caught = joined(&report["kernel"]["caught_signals"]);
        assert!(caught.lines().any(|signal| signal == "USR1"), "{caught}");
        assert_eq!(report["threads"][0]["alternate_stacks"], 1);
        assert_eq!(report["not_seen"], serde_json::json!([]));

        let human = text(&output([running.pid()]).stdout);
        assert!(human.contains("): covered\n") && human.contains("65536 (65536)"), "{human}");
    }
}

#[test]
fn a_changed_byte_and_a_lost_lock_are_seen() {
    for &libc in libcs() {
        let mut running = Running::with(libc, "on");
        let pid = running.pid();
        stands(&pid, 0, "covered", "");

        // The lowest byte of the count of refused locks, which nothing else changes.
        running.set(if cfg!(target_pointer_width = "64") { 128 + 2 * 8 } else { 128 + 2 * 4 }, 42);
        let report = stands(&pid, 0, "covered", "");
        assert_eq!(report["libraries"][0]["counters"]["refused_locks"], 42);
        assert!(joined(&report["notes"]).contains("42 locks were refused"), "{report:#}");

        // The lowest byte of what was used at most.
        running.set(if cfg!(target_pointer_width = "64") { 208 } else { 168 }, 7);
        let report = stands(&pid, 0, "covered", "");
        let deepest = &report["libraries"][0]["counters"]["deepest"];
        assert_eq!((&deepest["used"], &deepest["signal"]), (&7.into(), &Value::Null));
        let human = text(&output([&pid]).stdout);
        assert!(human.contains("deepest: thread 0 used 7 of 0 bytes"), "{human}");

        // Nothing told the library: it still says that the whole stack is locked.
        let (base, _) = running.ask("l");
        let why = "it says that 65536 bytes are locked, the kernel has 61440 of them locked";
        let report = stands(&pid, 1, "partly-covered", why);
        assert!(joined(&report["because"]).contains(&format!("{base:#x}")), "{report:#}");
        let stack = alternate(&report);
        assert_eq!((&stack["locked"], &stack["kernel_locked"]), (&65536.into(), &61440.into()));
        let human = text(&output([&pid]).stdout);
        assert!(human.contains("65536 (61440)") && human.contains("refused locks 42"), "{human}");

        // A duty that was not planned.
        running.set(68, 1);
        stands(&pid, 1, "not-covered", "its plan was to act, in force is observe");
        // A block that is none.
        running.set(0, b's');
        let report = stands(&pid, 2, "unknown", "there is no sigward block");
        assert_eq!(report["libraries"][0]["error"], "there is no sigward block");
    }
}

/// A handler went deeper than what is usable of the program's own stack. Nothing is held, so there
/// is no other record of it.
#[test]
fn larger_stacks_are_told_with_their_depth() {
    for (mode, remedy, frame, usable, thread) in
        [("auto", "fix", "11952", 12_288, true), ("auto", "auto", "20000", 16_384, false)]
    {
        let mut command = Command::new(build("waits_on_small", Libc::Glibc).unwrap());
        command.env("LD_PRELOAD", artifacts::preload()).env("SIGWARD", mode);
        command.env("SIGWARD_SIZE", remedy).env("SIGWARD_FRAME", frame);
        let mut running = Running::start(&mut command);
        running.lines.read_line(&mut String::new()).unwrap();
        let report = json([&running.pid()]).1["processes"][0].take();
        let all = report["stacks"].as_array().unwrap();
        let stack = all.iter().find(|stack| stack["role"] == "kept").unwrap();
        assert_eq!(stack["asked"]["bytes"], 16_384, "{report:#}");
        assert_eq!((&stack["usable"], &stack["deepest"]), (&usable.into(), &30_001.into()));
        let id = if thread { running.child.id() } else { 0 };
        assert_eq!(stack["thread"], id, "{report:#}");
        let human = text(&output([running.pid()]).stdout);
        let row = human.lines().find(|line| line.contains(" kept ")).unwrap();
        assert!(row.contains(&format!("{usable}/")) && row.ends_with("/30001"), "{human}");
        assert_eq!(row.trim_start().starts_with('?'), !thread, "{human}");
    }
}

/// The program's own stack, and the one that a thread has which sets none: what is usable, needed, and
/// how deep they were used, whether they are held or not.
#[test]
fn the_programs_own_stacks_are_told_with_their_room_and_depth() {
    // Two frames of 12,288 bytes, and 24 KiB.
    const NEEDED: u64 = 2 * 12_288 + 24 * 1024;
    let none = Value::Null;
    for (mode, guard, depth, all, own, given) in [
        ("auto", "", "paint", "1", Some((65536, 40_001.into())), Some(30_001.into())),
        ("on", "", "paint", "1", Some((65536, 40_001.into())), Some(30_001.into())),
        // It cannot be painted whole, and what is there counts for nothing.
        ("on", "guard", "paint", "0", Some((61440, none.clone())), None),
        ("on", "", "1", "1", Some((65536, none.clone())), Some(30_001.into())),
        ("on", "guard", "0", "1", Some((61440, none.clone())), Some(30_001.into())),
        ("auto", "guard", "paint", "0", None, None),
        ("auto", "", "0", "1", None, Some(30_001.into())),
        ("auto", "", "0", "0", None, None),
    ] {
        for &libc in libcs() {
            let mut command = Command::new(build("waits_on_stacks", libc).unwrap());
            command.arg(guard).env("LD_PRELOAD", artifacts::preload()).env("SIGWARD", mode);
            command.env("SIGWARD_DEPTH", depth).env("SIGWARD_ALTSTACK_ALL", all);
            let mut running = Running::start(command.env("SIGWARD_FRAME", "12288"));
            let mut line = String::new();
            running.lines.read_line(&mut line).unwrap();
            let numbers: Vec<u64> =
                line.split_whitespace().skip(1).map(|word| word.parse().unwrap()).collect();
            let [stack, main, other] = numbers[..] else { panic!("{line:?}") };
            let report = json([&running.pid()]).1["processes"][0].take();
            let rows = report["stacks"].as_array().unwrap();
            let row = |thread: u64, base: Option<u64>| {
                let is_alternate = |row: &&Value| row["role"] != "ordinary";
                let is_there = |row: &&Value| base.is_none_or(|base| row["base"] == base);
                let mine = rows.iter().filter(|row| row["thread"] == thread);
                mine.filter(is_alternate).find(is_there)
            };
            let context = format!("{libc:?} {mode} {guard} {depth} {all}: {report:#}");
            let of = |row: Option<&Value>| {
                let row = row?;
                assert_eq!(row["needed"], NEEDED, "{context}");
                Some((row["usable"].as_u64().unwrap(), row["deepest"].clone()))
            };
            assert_eq!(of(row(main, Some(stack))), own, "{context}");
            let given = given.clone().map(|deepest: Value| (128 << 10, deepest));
            assert_eq!(of(row(other, None)), given, "{context}");
            if given.is_some() {
                let human = text(&output([running.pid()]).stdout);
                assert!(human.contains(&format!("  131072/{NEEDED}/30001")), "{human}");
            }
        }
    }
}

#[test]
fn a_page_that_is_gone_is_seen() {
    let mut running = Running::with(Libc::Glibc, "on");
    running.ask("d");
    let why = "it says that 65536 bytes are held, the kernel has 61440 of them present";
    stands(&running.pid(), 1, "partly-covered", why);
}

#[test]
fn a_copy_past_the_library_is_seen_on_both_sides() {
    let mut running = Running::with(Libc::Glibc, "on");
    let (_, copied) = running.ask("c");
    let report = stands(&running.pid(), 1, "partly-covered", "shared with a forked copy");
    assert_eq!(alternate(&report)["kernel_shared"], 65536);
    let why = "its memory is a copy that a fork made past the library";
    stands(&copied.to_string(), 1, "not-covered", why);
}

#[test]
fn a_process_without_the_library_is_not_covered() {
    let running = Running::ready(&mut Command::new(build("past_libc", Libc::Glibc).unwrap()));
    let report = stands(&running.pid(), 1, "not-covered", "libsigward.so is not mapped in it");
    assert!(joined(&report["because"]).contains("sigward run"), "{report:#}");
    // The program makes some calls itself, to escape the library.
    assert_eq!(report["program"]["coverage"], "partly");
    for (options, code, standing) in
        [(&MENDED[..], 0, "nothing-to-cover"), (&UNKNOWN[..], 2, "unknown")]
    {
        let (found, report) = on(options, running.pid().as_ref(), "processes");
        assert_eq!((found, &report["standing"]), (code, &standing.into()));
    }
}

#[test]
fn the_environment_is_not_believed() {
    // The loader ignores the variable of a static program.
    let program = build_with("past_libc", Libc::Glibc, &["-static"]).unwrap();
    // By all names that `sigward run` has for it.
    let copy = Path::new("/run/sigward/$LIB/libsigward-0123456789abcdef.so");
    for library in [artifacts::preload(), copy] {
        let mut command = Command::new(&program);
        command.env("LD_PRELOAD", library).env("SIGWARD", "on");
        let running = Running::ready(&mut command);
        let report = stands(&running.pid(), 1, "not-covered", "statically linked");
        let because = joined(&report["because"]);
        assert!(because.contains("its LD_PRELOAD names it all the same"), "{because}");
    }
}

#[test]
fn a_process_with_other_credentials_is_not_covered() {
    if !need::root() {
        return;
    }
    let folder = public_folder();
    let program = folder.path().join("past_libc");
    copy(&build("past_libc", Libc::Glibc).unwrap(), &program).unwrap();
    std::os::unix::fs::chown(&program, Some(NOBODY), Some(NOBODY)).unwrap();
    mode(&program, 0o4755);
    let mut command = Command::new(program);
    command.env("LD_PRELOAD", artifacts::preload()).env("SIGWARD", "on");
    let running = Running::ready(&mut command);
    let report = stands(&running.pid(), 1, "not-covered", "AT_SECURE");
    assert_eq!(report["kernel"]["secure_execution"], true);
}

#[test]
fn a_32_bit_process_is_not_covered() {
    // It catches a signal (67 is sigaction), says so and waits (29 is pause).
    let source = "static long call(long number, long a, long b, long c) {\n\
                      __asm__ volatile(\"int $0x80\" : \"+a\"(number)\n\
                                       : \"b\"(a), \"c\"(b), \"d\"(c) : \"memory\");\n\
                      return number;\n\
                  }\n\
                  static void handler(int signal) { (void)signal; }\n\
                  void _start(void) {\n\
                      void *action[4] = {(void *)handler, 0, 0, 0};\n\
                      call(67, 10, (long)action, 0);\n\
                      call(4, 1, (long)\"r 0 0\\n\", 6);\n\
                      for (;;)\n\
                          call(29, 0, 0, 0);\n\
                  }\n";
    let folder = TempDir::new().unwrap();
    let options = ["-m32", "-nostdlib", "-static", "-fno-pic", "-no-pie", "-fno-stack-protector"];
    let mut command = Command::new(gcc(folder.path(), "narrow", source, &options));
    let started = command.stdout(Stdio::null()).spawn();
    if let Ok(mut child) = started {
        child.kill().unwrap();
        child.wait().unwrap();
    } else {
        let _ = need::optional(false, "32-bit processes", "a kernel with them");
        return;
    }
    let running = Running::ready(&mut command);
    let report = stands(&running.pid(), 1, "not-covered", "it is statically linked");
    assert_eq!(report["kernel"]["secure_execution"], false);
    assert_eq!(report["kernel"]["caught_signals"], serde_json::json!(["USR1"]));
}

#[test]
fn a_process_that_catches_no_signal_has_nothing_to_cover() {
    let running = Running::start(&mut Command::new("cat"));
    for _ in 0..1000 {
        if std::fs::read(format!("/proc/{}/comm", running.pid())).unwrap() == b"cat\n" {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    let report = stands(&running.pid(), 0, "nothing-to-cover", "it catches no signal now");
    assert!(joined(&report["because"]).contains("is not mapped"), "{report:#}");
}

#[test]
fn a_library_that_does_nothing_does_not_cover() {
    for (mode, why) in [("off", "to do nothing (set)"), ("observe", "to observe (set)")] {
        let running = Running::with(Libc::Glibc, mode);
        stands(&running.pid(), 1, "not-covered", why);
        let (code, report) = on(&MENDED, running.pid().as_ref(), "processes");
        assert_eq!((code, &report["standing"]), (0, &"nothing-to-cover".into()));
    }
}

#[test]
fn a_stack_that_is_too_small_is_told() {
    let mut command = Command::new(build("past_libc", Libc::Glibc).unwrap());
    command.env("LD_PRELOAD", artifacts::preload());
    command.env("SIGWARD", "on").env("SIGWARD_FRAME", "70000").env("SIGWARD_SIZE", "report");
    let running = Running::ready(&mut command);
    // The process knows the size by its settings; the kernel's size is smaller.
    let report = stands(&running.pid(), 1, "partly-covered", "a frame of 70000 bytes does not fit");
    assert_eq!(report["libraries"][0]["counters"]["small"], 1);
}

/// A copy of the command that every user may run.
fn public_command(folder: &Path) -> PathBuf {
    let copied = folder.join("sigward");
    copy(cargo_bin!("sigward"), &copied).unwrap();
    copied
}

#[test]
fn another_users_process_is_unknown() {
    if !need::root() {
        return;
    }
    let folder = public_folder();
    let sigward = public_command(folder.path());
    let running = Running::with(Libc::Glibc, "on");
    let mut nobody = Command::new(&sigward);
    nobody.uid(NOBODY).gid(NOBODY).arg("doctor").args(AFFECTED).arg(running.pid());
    let (code, report) = json_of(&mut nobody);
    let process = &report["processes"][0];
    assert_eq!((code, &process["standing"]), (2, &"unknown".into()), "{report:#}");
    assert!(joined(&process["because"]).contains("permission denied"), "{report:#}");
    assert_eq!(joined(&process["not_seen"]), "its memory");
    assert_eq!(report["meta"]["reduced_accuracy"], true);
    // What everybody may see is there.
    assert!(process["kernel"]["locked_bytes"].as_u64() >= Some(65536), "{report:#}");

    // Its own process is seen as well as by root.
    let program = folder.path().join("past_libc");
    copy(&build("past_libc", Libc::Glibc).unwrap(), &program).unwrap();
    let library = folder.path().join("libsigward.so");
    copy(artifacts::preload(), &library).unwrap();
    let mut command = Command::new(&program);
    command.uid(NOBODY).gid(NOBODY).env("LD_PRELOAD", library).env("SIGWARD", "on");
    let running = Running::ready(&mut command);
    let mut nobody = Command::new(&sigward);
    nobody.uid(NOBODY).gid(NOBODY).arg("doctor").args(AFFECTED).arg(running.pid());
    let (code, report) = json_of(&mut nobody);
    assert_eq!((code, &report["meta"]["reduced_accuracy"]), (0, &false.into()), "{report:#}");
    assert_eq!(alternate(&report["processes"][0])["kernel_locked"], 65536);
}
