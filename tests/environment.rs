//! The environment: which settings are obeyed, which are refused, and what stderr says
//! about them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use sigward::config::{Accepted, TABLE};
use sigward_harness::programs::{Libc, build, libcs};
use sigward_harness::{Outcome, Run, artifacts, need, programs};

fn program(name: &str, libc: Libc) -> Run {
    Run::new(build(name, libc).unwrap())
}

/// A run whose only `SIGWARD` variables are the test's own; none is set yet.
fn preloaded(name: &str, libc: Libc) -> Run {
    program(name, libc).preloaded()
}

/// The lines of stderr without the prefix that differs from run to run: `sigward[PID]: `.
fn messages(outcome: &Outcome) -> Vec<&str> {
    let words = |line| {
        str::strip_prefix(line, "sigward[")
            .and_then(|line| line.split_once("] ").or_else(|| line.split_once("]: ")))
            .map_or(line, |(_, words)| words)
    };
    outcome.stderr.lines().map(words).collect()
}

#[test]
fn a_bad_value_is_reported_once_and_does_no_harm() {
    let plain = program("altstack_mmap", Libc::Glibc).output().unwrap();
    let mut tried = 0;
    for row in TABLE {
        let values: &[&str] = match row.accepted() {
            Accepted::Globs => continue,
            Accepted::Size | Accepted::WordsOrSize(_) => {
                &["bogus", " ", "-1", "1KB", "99999999999999999999", "0x10"]
            }
            Accepted::Signals => &["bogus", "segv", "SEGV,", "KILL", "0", "65"],
            Accepted::Words(_) => &["bogus", " ", "-1", "ON", "1 "],
        };
        for value in values {
            let outcome = preloaded("altstack_mmap", Libc::Glibc).env(row.name, value).output();
            let outcome = outcome.unwrap();
            let expected = format!(
                "ignored: {}={value}: not accepted; accepted: {}",
                row.name,
                row.accepted()
            );
            assert_eq!(messages(&outcome), [expected]);
            assert_eq!((outcome.stdout, outcome.status), (plain.stdout.clone(), plain.status));
            tried += 1;
        }
    }
    assert!(tried > 40);
}

#[test]
fn several_bad_values_make_one_line() {
    for &libc in libcs() {
        let run = preloaded("altstack_mmap", libc);
        let run = run.env("SIGWARD", "perhaps").env("SIGWARD_STATS", "2").env("SIGWARD_FOO", "");
        let outcome = run.output().unwrap();
        assert!(outcome.success());
        let [line] = messages(&outcome)[..] else { panic!("{outcome:?}") };
        assert!(line.starts_with("ignored: SIGWARD"), "{line}");
    }
}

#[test]
fn a_bad_name_is_reported_unless_it_may_be_other_softwares() {
    for (name, is_reported) in [
        ("SIGWARD_FOO", true),
        ("SIGWARD_", true),
        ("SIGWARD_SERVICE_HOST", false),
        ("SIGWARDEN", false),
        ("sigward", false),
    ] {
        for mode in ["on", "observe"] {
            let run = program("altstack_mmap", Libc::Glibc).sigward(mode).env(name, "1");
            let outcome = run.output().unwrap();
            assert!(outcome.success());
            let expected = format!("ignored: {name}=1: no such variable; see `sigward run --help`");
            assert_eq!(messages(&outcome), vec![expected; usize::from(is_reported)]);
        }
    }
}

/// The variable may belong to other software, and it is in the environment of every
/// process.
#[test]
fn a_bad_name_costs_nothing_where_nothing_is_done() {
    let run = preloaded("altstack_mmap", Libc::Glibc);
    let named = run.clone().env("SIGWARD_FOO", "1");
    assert_eq!(named.output().unwrap().stderr, "");
    assert_eq!(named.calls().unwrap(), run.calls().unwrap());
    // The control: writing a message does cost a call.
    let reported = run.clone().env("SIGWARD_SIZE", "x");
    assert!(reported.calls().unwrap().len() > run.calls().unwrap().len());
}

#[test]
fn empty_values_are_defaults_and_off_is_silent() {
    let run = preloaded("altstack_mmap", Libc::Glibc);
    let empty = TABLE.iter().fold(run.clone(), |run, row| run.env(row.name, ""));
    assert_eq!(empty.output().unwrap().stderr, "");
    let off = run.env("SIGWARD_LOG", "bogus").env("SIGWARD_STATS", "1").env("SIGWARD", "off");
    assert_eq!(off.output().unwrap().stderr, "");
}

/// A value with arbitrary bytes is shown on one line, and cut if it is too long.
#[test]
fn strange_values_stay_on_one_line() {
    for value in ["a\nb\x1b[31m\r", "\u{fe}\u{ff}", &"x".repeat(10_000)] {
        let run = preloaded("altstack_mmap", Libc::Glibc).env("SIGWARD_LOG", value);
        let outcome = run.output().unwrap();
        assert!(outcome.success());
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        assert!(outcome.stderr.len() <= 512 && outcome.stderr.ends_with('\n'), "{outcome:?}");
        let plain = |byte: &u8| (b' '..=b'~').contains(byte) || *byte == b'\n';
        assert!(outcome.stderr.bytes().all(|byte| plain(&byte)), "{outcome:?}");
    }
}

#[test]
fn only_and_except_select_programs_by_name() {
    const ROWS: &[(&str, &str, bool)] = &[
        ("", "", true),
        ("altstack_mmap", "", true),
        ("altstack_*", "", true),
        ("java,altstack_mma?", "", true),
        ("java,node", "", false),
        ("altstack", "", false),
        ("", "altstack_mmap", false),
        ("", "java,*_mmap", false),
        ("", "java", true),
        ("altstack_*", "*", false),
        ("altstack_*", "java", true),
    ];
    for &libc in libcs() {
        for (only, except, acts) in ROWS {
            let run = preloaded("altstack_mmap", libc).env("SIGWARD", "on");
            let run = run.env("SIGWARD_ONLY", only).env("SIGWARD_EXCEPT", except);
            let trace = run.frames().unwrap();
            let faulting = usize::from(!acts);
            assert_eq!(trace.faulting(), faulting, "{libc:?}: only {only:?}, except {except:?}");
        }
    }
}

/// A program whose lock is refused, so that there is something to warn about.
fn refused(libc: Libc, limit: u64) -> Run {
    let run = preloaded("altstack_threads", libc).arg("8").unprivileged().memlock(limit);
    run.env("SIGWARD", "on").env("SIGWARD_STACK", "off")
}

#[test]
fn each_log_level_adds_to_the_one_before() {
    let words = ["off", "error", "warn", "info", "debug", "trace"];
    let logged: Vec<Outcome> = words
        .iter()
        .map(|level| refused(Libc::Glibc, 64 << 10).env("SIGWARD_LOG", level).output().unwrap())
        .collect();
    let [off, error, warn, info, debug, trace] = &logged[..] else { unreachable!() };
    assert_eq!(refused(Libc::Glibc, 64 << 10).output().unwrap(), *off);
    assert_eq!((&*off.stderr, &*error.stderr), ("", ""));

    let count = |outcome, level: &str| {
        messages(outcome).iter().filter(|line| line.starts_with(level)).count()
    };
    for (outcome, warns, infos, debugs) in [
        (warn, 1, false, false),
        (info, 1, true, false),
        (debug, 1, true, true),
        (trace, 1, true, true),
    ] {
        assert_eq!(count(outcome, "WARN: "), warns, "{outcome:?}");
        assert_eq!(count(outcome, "INFO: ") > 5, infos, "{outcome:?}");
        assert_eq!(count(outcome, "DEBUG: ") >= 8, debugs, "{outcome:?}");
        assert!(outcome.success() && outcome.stdout == off.stdout, "{outcome:?}");
    }
    // The effective settings and the verdict are logged as decisions.
    let words = messages(info);
    for word in ["INFO: SIGWARD=on", "INFO: SIGWARD_ALTSTACK=auto", "INFO: SIGWARD_LOG=info"] {
        assert!(words.contains(&word), "{word}: {words:?}");
    }
    let verdict = words.iter().any(|line| line.contains("duty: act; signal frame: "));
    assert!(verdict, "{words:?}");
}

#[test]
fn a_refused_lock_is_logged_once_with_its_remedies() {
    const REMEDY: &str = "this one is held by rung touch. Remedy: ulimit -l 65536; docker run \
                          --ulimit memlock=67108864; LimitMEMLOCK=64M";
    for &libc in libcs() {
        for (limit, errno, stacks) in [(64 << 10, "ENOMEM", 1), (0, "EPERM", 0)] {
            let outcome = refused(libc, limit).env("SIGWARD_LOG", "warn").output().unwrap();
            assert!(outcome.success(), "{outcome:?}");
            let expected = format!(
                "WARN: locking a signal stack was refused ({errno}): RLIMIT_MEMLOCK is {limit} \
                 bytes, enough for {stacks} stacks; {REMEDY}"
            );
            assert_eq!(messages(&outcome), [expected]);
        }
        let enough = refused(libc, 8 << 20).env("SIGWARD_LOG", "warn").output().unwrap();
        assert_eq!(enough.stderr, "");
    }
}

#[test]
fn memory_that_cannot_be_locked_uses_up_no_warning() {
    for (program, kind, limit, expected) in [
        ("residency", "PROT_NONE", 0, 0),
        ("residency", "after a bad one", 0, 1),
        ("residency", "has a hole", 8 << 20, 0),
        ("residency", "ends unmapped", 0, 0),
        ("altstack_bad", "", 8 << 20, 0),
        ("altstack_bad", "", 0, 1),
    ] {
        let run = preloaded(program, Libc::Glibc).arg(kind).unprivileged().memlock(limit);
        let run = run.env("SIGWARD", "on").env("SIGWARD_STACK", "off").env("SIGWARD_LOG", "warn");
        let outcome = run.output().unwrap();
        assert!(outcome.success(), "{outcome:?}");
        let refusals =
            messages(&outcome).iter().filter(|line| line.contains("was refused")).count();
        assert_eq!(refusals, expected, "{program} {kind}: {outcome:?}");
    }
}

#[test]
fn the_figures_are_true() {
    // Limit; stacks on the rungs lock and touch; KiB locked at the end and at most; refusals.
    let rows: &[(&str, &[&str], u64, [usize; 6])] = &[
        ("altstack_threads", &["8"], 8 << 20, [8, 8, 0, 0, 512, 0]),
        ("altstack_threads", &["8"], 64 << 10, [8, 1, 7, 0, 64, 7]),
        ("altstack_threads", &["8"], 0, [8, 0, 8, 0, 0, 8]),
        ("residency", &["plain", "keep"], 8 << 20, [1, 1, 0, 64, 64, 0]),
        ("residency", &["plain"], 8 << 20, [1, 1, 0, 0, 64, 0]),
    ];
    let names = ["stacks", "lock", "touch", "locked_kib", "most_locked_kib", "refused"];
    for &libc in libcs() {
        for (name, args, limit, expected) in rows {
            let run = preloaded(name, libc).args(*args).unprivileged().memlock(*limit);
            let run = run.env("SIGWARD", "on").env("SIGWARD_STACK", "off");
            let outcome = run.env("SIGWARD_STATS", "1").output().unwrap();
            let figures = names.map(|name| outcome.figure(name).parse::<usize>().unwrap());
            assert_eq!(figures, *expected, "{libc:?}: {outcome:?}");
            assert_eq!(outcome.figure("duty"), "act");
            assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
            if *name == "residency" {
                // The kernel confirms it.
                let vmlck = format!("VmLck {} kB\n", expected[3]);
                assert!(outcome.stdout.ends_with(&vmlck), "{outcome:?}");
            }
        }
    }
}

#[test]
fn stacks_that_the_kernel_refuses_are_not_counted() {
    let run = preloaded("errno_kept", Libc::Glibc).env("SIGWARD_STATS", "1");
    let run = run.env("SIGWARD_STACK", "off");
    for (mode, locked) in [("on", "64"), ("observe", "0")] {
        let outcome = run.clone().env("SIGWARD", mode).output().unwrap();
        // Three set by sigaltstack, one by syscall; two more are too small.
        assert_eq!(outcome.figure("stacks"), "4", "{outcome:?}");
        assert_ne!(outcome.figure("most_locked_kib") == "0", locked != "0", "{outcome:?}");
    }
}

#[test]
fn auto_on_a_healthy_kernel_counts_nothing() {
    let run = preloaded("altstack_mmap", Libc::Glibc).env("SIGWARD_STATS", "1");
    let outcome = run.output().unwrap();
    assert_eq!((outcome.figure("duty"), outcome.figure("stacks")), ("inert", "0"));
}

/// Builds the program `secure` linked to our library, because nothing can be preloaded into
/// it.
fn linked_program(folder: &Path) -> std::path::PathBuf {
    let library = folder.join("libsigward.so");
    fs::copy(artifacts::preload(), &library).unwrap();
    let program = folder.join("secure");
    let mut gcc = Command::new("gcc");
    gcc.args(["-D_GNU_SOURCE", "-pthread", "-Wl,--no-as-needed", "-o"]).arg(&program);
    gcc.arg("-I").arg(programs::folder()).arg(programs::folder().join("loading/secure.c"));
    gcc.arg(&library);
    gcc.arg(format!("-Wl,-rpath,{}", folder.display()));
    assert!(gcc.status().unwrap().success());
    program
}

#[test]
fn a_setuid_program_ignores_the_environment() {
    if !need::root() {
        return;
    }
    let folder = tempfile::Builder::new().prefix("sigward-").tempdir_in("/var/tmp").unwrap();
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(folder.path(), 0o755);
    let program = linked_program(folder.path());
    let run = Run::new(&program).arg("locked").unprivileged().env("SIGWARD", "on");
    let run = run.env("SIGWARD_LOG", "trace").env("SIGWARD_STATS", "1").env("SIGWARD_SIZE", "x");
    for (bits, stdout, silent) in [
        (0o755, "secure: 0\nlocked: 16 pages\n", false),
        (0o4755, "secure: 1\nlocked: 0 pages\n", true),
    ] {
        mode(&program, bits);
        // glibc removes some variables, each of which leaves one null more behind the others.
        let removed = run.clone().env("LD_LIBRARY_PATH", "/none").env("TMPDIR", "/none");
        for run in [&run, &removed] {
            let outcome = run.output().unwrap();
            let seen = (&*outcome.stdout, outcome.stderr.is_empty());
            assert_eq!(seen, (stdout, silent), "{outcome:?}");
        }
    }
}
