//! When the library stands down, and when it does not. A program's stdout and exit status are
//! always the same as without the library; what is locked is on stderr.

use std::path::Path;

use sigward_harness::filter::Filter;
use sigward_harness::programs::{Libc, build, build_with, libcs};
use sigward_harness::{Outcome, Run, artifacts, need};

fn confined(libc: Libc, how: &str) -> Run {
    Run::new(build("confined", libc).unwrap()).args([how, "locked"])
}

fn preloaded(run: Run) -> Run {
    run.sigward("on").env("SIGWARD_LOG", "warn")
}

/// The number of locked stack pages before and after the program confined itself.
fn locked(outcome: &Outcome) -> (u32, u32) {
    let figure = |name: &str| {
        let mut lines = outcome.stderr.lines().filter_map(|line| line.strip_prefix(name));
        lines.next().and_then(|figure| figure.parse().ok())
    };
    match (figure("locked before: "), figure("locked after: ")) {
        (Some(before), Some(after)) => (before, after),
        _ => panic!("{outcome:?}"),
    }
}

/// The library's reason for standing down.
fn reason(outcome: &Outcome) -> Option<&str> {
    let mut lines = outcome.stderr.lines();
    lines.find_map(|line| line.split_once(" WARN: standing down: ")).map(|(_, reason)| reason)
}

/// Checks that the run behaves the same with and without the library; returns the former.
fn same(run: &Run) -> Outcome {
    let plain = run.output().unwrap();
    let with = preloaded(run.clone()).output().unwrap();
    assert_eq!((&with.stdout, with.status), (&plain.stdout, plain.status), "{plain:?}\n{with:?}");
    with
}

#[test]
fn no_filter_no_reason() {
    for &libc in libcs() {
        let outcome = same(&confined(libc, "status"));
        assert_eq!((locked(&outcome), reason(&outcome)), ((16, 16), None));
        assert!(outcome.success());
    }
}

#[test]
fn a_filter_that_kills_for_a_call_of_ours_is_survived() {
    const ROWS: &[(&str, i64)] = &[
        ("getpid", libc::SYS_getpid),
        ("gettid", libc::SYS_gettid),
        ("rt_sigprocmask", libc::SYS_rt_sigprocmask),
        ("futex", libc::SYS_futex),
        ("tgkill", libc::SYS_tgkill),
        ("msync", libc::SYS_msync),
        ("munlock", libc::SYS_munlock),
        ("mlock", libc::SYS_mlock),
        ("madvise", libc::SYS_madvise),
        ("process_vm_writev", libc::SYS_process_vm_writev),
    ];
    for &libc in libcs() {
        let mut shown = 0;
        for &(name, number) in ROWS {
            for filter in [Filter::new().kill(number), Filter::new().trap(number)] {
                // A call that kills the program even without us shows nothing.
                let run = confined(libc, "status").filter(filter);
                if run.output().unwrap().success() {
                    shown += 1;
                    let outcome = same(&run);
                    let expected = format!(
                        "a seccomp filter kills the process when it calls {name}; duty: inert"
                    );
                    // Without these calls no line can be written safely.
                    let silent = ["getpid", "gettid", "rt_sigprocmask"].contains(&name);
                    assert_eq!(reason(&outcome), (!silent).then_some(&*expected));
                    assert_eq!(locked(&outcome), (0, 0));
                }
            }
        }
        assert!(shown > 10, "{libc:?}: {shown}");
    }
}

#[test]
fn a_filter_that_kills_for_writing_makes_us_silent() {
    const ROWS: &[i64] = &[
        libc::SYS_poll,
        libc::SYS_pwritev2,
        libc::SYS_sendto,
        libc::SYS_rt_sigpending,
        libc::SYS_rt_sigtimedwait,
        libc::SYS_getpid,
        libc::SYS_gettid,
    ];
    for &libc in libcs() {
        let mut shown = 0;
        for &number in ROWS {
            let run = confined(libc, "status").filter(Filter::new().kill(number));
            let plain = run.output().unwrap();
            if !plain.success() {
                continue;
            }
            shown += 1;
            for mode in ["auto", "on"] {
                let run = run.clone().sigward(mode).env("SIGWARD_STATS", "1");
                let with = run.env("SIGWARD_LOG", "debug").env("SIGWARD_FOO", "").output().unwrap();
                let seen = (&with.stdout, with.status);
                assert_eq!(seen, (&plain.stdout, plain.status), "{libc:?} {mode} {number}");
                assert!(!with.stderr.contains("sigward["), "{with:?}");
                // If sigward can work without that call, it does so silently.
                let works = mode == "on" && ![libc::SYS_getpid, libc::SYS_gettid].contains(&number);
                assert_eq!(locked(&with), if works { (16, 16) } else { (0, 0) }, "{number}");
            }
        }
        assert!(shown > 4, "{libc:?}: {shown}");
    }
}

#[test]
fn a_filter_that_refuses_a_needed_call_makes_us_inert() {
    const ROWS: &[(&str, i64, i32, &str)] = &[
        ("rt_sigprocmask", libc::SYS_rt_sigprocmask, libc::EINVAL, "EPERM"),
        ("gettid", libc::SYS_gettid, libc::ENOSYS, "EPERM"),
        ("futex", libc::SYS_futex, libc::ENOSYS, "ENOSYS"),
        ("tgkill", libc::SYS_tgkill, libc::ESRCH, "ESRCH"),
        ("msync", libc::SYS_msync, libc::ENOMEM, "ENOMEM"),
        ("munlock", libc::SYS_munlock, libc::EPERM, "EPERM"),
    ];
    for &libc in libcs() {
        for &(name, number, errno, shown) in ROWS {
            let run = confined(libc, "status").filter(Filter::new().refuse(number, errno));
            let outcome = same(&run);
            let expected = format!("a seccomp filter refuses {name} ({shown}); duty: inert");
            // Without that call no line can be written safely.
            let expected = (name != "rt_sigprocmask").then_some(&*expected);
            assert_eq!((reason(&outcome), locked(&outcome)), (expected, (0, 0)));
        }
        // No child can be created to try the filter.
        let run = confined(libc, "status").filter(Filter::new().refuse(libc::SYS_clone, 1));
        let outcome = same(&run);
        let expected = "a seccomp filter could not be tried out (EPERM); duty: inert";
        assert_eq!((reason(&outcome), locked(&outcome)), (Some(expected), (0, 0)));
    }
}

#[test]
fn a_filter_that_refuses_locks_leaves_the_touch() {
    for &libc in libcs() {
        for errno in [libc::EPERM, libc::ENOMEM, libc::EAGAIN, libc::ENOSYS] {
            let filter = Filter::new().refuse(libc::SYS_mlock, errno);
            let run = confined(libc, "status").filter(filter).env("SIGWARD_STATS", "1");
            let outcome = same(&run);
            assert_eq!((reason(&outcome), locked(&outcome)), (None, (0, 0)));
            assert!(
                outcome.stderr.contains("duty=act stacks=2 lock=0 frame=0 touch=4"),
                "{outcome:?}"
            );
        }
    }
}

/// What the default filter of container runtimes refuses does not affect us.
#[test]
fn a_container_runtimes_filter_changes_nothing() {
    const REFUSED: &[i64] = &[
        libc::SYS_acct,
        libc::SYS_add_key,
        libc::SYS_bpf,
        libc::SYS_clock_settime,
        libc::SYS_delete_module,
        libc::SYS_init_module,
        libc::SYS_ioperm,
        libc::SYS_kexec_load,
        libc::SYS_keyctl,
        libc::SYS_mbind,
        libc::SYS_mount,
        libc::SYS_perf_event_open,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_ptrace,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_userfaultfd,
    ];
    let filter = REFUSED.iter().fold(Filter::new(), |filter, &number| filter.refuse(number, 1));
    for &libc in libcs() {
        for filter in [Filter::new(), filter.clone()] {
            let outcome = same(&confined(libc, "status").filter(filter));
            assert_eq!((reason(&outcome), locked(&outcome)), (None, (16, 16)));
        }
    }
}

#[test]
fn a_program_that_confines_itself_gets_its_locks_back_first() {
    const SAID: Option<&str> = Some("the program installs a seccomp filter");
    for &libc in libcs() {
        // The filter does kill.
        let proof = confined(libc, "proof").output().unwrap();
        assert_eq!(proof.code(), 128 + libc::SIGSYS);
        for how in ["prctl", "seccomp"] {
            let outcome = same(&confined(libc, how).env("SIGWARD_STATS", "1"));
            assert!(outcome.success());
            assert_eq!((reason(&outcome), locked(&outcome)), (SAID, (16, 0)));
            assert_eq!(outcome.stderr.matches("duty=act stacks=1 ").count(), 1, "{outcome:?}");
            // If the only thing to do is to write a line at exit, it is not written.
            let run = confined(libc, how).sigward("auto").env("SIGWARD_STATS", "1");
            let idle = run.output().unwrap();
            assert!(idle.success() && idle.stdout == outcome.stdout, "{idle:?}");
            assert_eq!(idle.stderr.matches("duty=inert stacks=0 ").count(), 1, "{idle:?}");
        }
        // The filter was refused: sigward acts again. The counts are written once.
        let outcome = same(&confined(libc, "refused").env("SIGWARD_STATS", "1"));
        assert_eq!((reason(&outcome), locked(&outcome)), (SAID, (16, 16)));
        assert!(outcome.stderr.contains(" WARN: resuming: the seccomp filter was not installed\n"));
        assert_eq!(outcome.stderr.matches(" stacks=1 ").count(), 1, "{outcome:?}");
        // The filter could not be installed: nothing to do, and nothing to log.
        let outcome = same(&confined(libc, "asks").env("SIGWARD_STATS", "1"));
        assert_eq!((reason(&outcome), locked(&outcome)), (None, (16, 16)));
        assert_eq!(outcome.stderr.matches("sigward[").count(), 1, "{outcome:?}");
        // The child's filter does not concern us.
        let outcome = same(&confined(libc, "vfork"));
        assert_eq!((reason(&outcome), locked(&outcome)), (None, (16, 16)));
    }
}

/// A sanitizer requires to come first in the list of libraries; users switch off that check when
/// they preload something.
#[test]
fn a_sanitized_program_is_left_alone() {
    const ASAN: &str = "a sanitizer is in the process (__asan_init); duty: inert";
    const TSAN: &str = "a sanitizer is in the process (__tsan_init); duty: inert";
    // gcc hides the names of a runtime that it links statically.
    const STATIC: &str = "the program defines sigaltstack itself; duty: inert";
    for (flags, expected) in [
        (&["-fsanitize=address"][..], ASAN),
        (&["-fsanitize=address", "-static-libasan"], STATIC),
        (&["-fsanitize=thread"], TSAN),
    ] {
        let program = build_with("confined", Libc::Glibc, flags).unwrap();
        let run = Run::new(program)
            .args(["status", "locked"])
            .env("ASAN_OPTIONS", "verify_asan_link_order=0");
        let outcome = same(&run);
        assert_eq!((reason(&outcome), locked(&outcome)), (Some(expected), (0, 0)), "{outcome:?}");
        assert!(outcome.success());
    }
}

/// If valgrind tracks memory, it would report our accesses as the program's errors. Its other
/// tools do not mind, and our benchmarks count instructions with one of them.
#[test]
fn under_valgrinds_memory_tools_nothing_is_done() {
    const SAID: &str = "valgrind tracks the program's memory; duty: inert";
    let Some(valgrind) = need::program("valgrind") else { return };
    let program = build("altstack_threads", Libc::Glibc).unwrap();
    for (tool, said) in
        [("memcheck", Some(SAID)), ("helgrind", Some(SAID)), ("drd", Some(SAID)), ("none", None)]
    {
        let run = Run::new(&valgrind)
            .args(["-q", "--error-exitcode=9", &format!("--tool={tool}")])
            .arg(&program)
            .arg("4");
        let outcome = same(&run);
        assert!(outcome.success(), "{tool}: {outcome:?}");
        assert_eq!(reason(&outcome), said, "{tool}");
        let lines = outcome.stderr.lines();
        assert_eq!(lines.filter(|line| line.contains("Syscall param")).count(), 0, "{outcome:?}");
    }
}

#[test]
fn in_gvisor_nothing_is_locked() {
    let gvisor = build("gvisor", Libc::Glibc).unwrap();
    let run = Run::new(gvisor).arg(build("confined", Libc::Glibc).unwrap());
    let run = run.args(["status", "locked"]);
    let outcome = same(&run);
    let expected = "this is gVisor, which writes signal frames itself; duty: observe";
    assert_eq!((reason(&outcome), locked(&outcome)), (Some(expected), (0, 0)));
}

#[test]
fn without_a_libc_nothing_is_done() {
    let outcome = same(&Run::new(build("no_libc", Libc::Glibc).unwrap()));
    assert_eq!((&*outcome.stdout, outcome.code()), ("alive\n", 7));
    // It could not pass us the environment either.
    assert_eq!(outcome.stderr, "");
}

const AROUND: &[&str] = &["confined", "altstack_malloc", "altstack_threads", "thread_exit"];

/// With another library before or behind ours, programs behave the same, and stacks are held.
fn side_by_side(other: &Path) {
    for name in AROUND {
        let run = Run::new(build(name, Libc::Glibc).unwrap());
        let run = if *name == "confined" { run.args(["status", "locked"]) } else { run };
        let alone = run.clone().preload(other).output().unwrap();
        let sigward = |run: Run| run.env("SIGWARD", "on").env("SIGWARD_LOG", "warn");
        let library = artifacts::preload();
        for run in
            [run.clone().preload(library).preload(other), run.preload(other).preload(library)]
        {
            let both = sigward(run).output().unwrap();
            assert_eq!((&both.stdout, both.status), (&alone.stdout, alone.status), "{both:?}");
            assert_eq!(reason(&both), None);
            if *name == "confined" {
                assert_eq!(locked(&both), (16, 16));
            }
        }
    }
}

#[test]
fn other_allocators_work_beside_us() {
    for (library, package) in
        [("libjemalloc.so.2", "libjemalloc2"), ("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4")]
    {
        let path = Path::new("/usr/lib/x86_64-linux-gnu").join(library);
        let remedy = format!("apt-get install {package}");
        if need::required(path.exists(), library, &remedy) {
            side_by_side(&path);
        }
    }
}

#[test]
fn a_second_interposer_works_beside_us() {
    side_by_side(artifacts::chaos());
}

#[test]
fn the_loaders_own_ways_make_no_difference() {
    let audit = build("libaudit", Libc::Glibc).unwrap();
    for &libc in libcs() {
        for (name, value) in [("LD_BIND_NOW", "1".as_ref()), ("LD_AUDIT", audit.as_os_str())] {
            let outcome = same(&confined(libc, "status").env(name, value));
            assert_eq!((locked(&outcome), reason(&outcome)), ((16, 16), None), "{name} {libc:?}");
        }
    }
}
