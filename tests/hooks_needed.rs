//! Each hook exists because some program fares worse without it. Each in turn is removed from the
//! library's exports, and a program that needs it must show a difference; with the whole library
//! it must show none.

use std::collections::BTreeSet;
use std::iter;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use sigward_harness::programs::{self, Libc, build, libcs};
use sigward_harness::scenarios::NOT_HERE;
use sigward_harness::{Run, artifacts};

/// How a program shows that it needs a hook.
#[derive(Clone, Copy)]
enum Shown {
    /// By a page fault in a delivery, by a line that says what is held of a stack's 16 pages, or
    /// by its other output, which must be the same as without the library.
    Frames,
    /// By its output, which must be the same as without the library, with this variable
    /// set.
    Output(&'static str, &'static str),
    /// By the child that it waits for, on a kernel that loses arguments at a restart.
    Restart,
}
use Shown::{Frames, Output, Restart};

const ACTS: Shown = Output("SIGWARD", "on");
const WAITS: Shown = Output("SIGWARD_WAIT", "two-phase");

/// Program, argument, how the need shows, and the hooks that it needs.
type Row = (&'static str, &'static str, Shown, &'static [&'static str]);

const NEEDS: &[Row] = &[
    // Stacks, and the handlers that use them.
    ("forked", "child", Frames, &["sigaltstack"]),
    ("sigstack_in_use", "", Frames, &["sigstack"]),
    ("adopt_onstack", "sigaction", Frames, &["sigaction"]),
    ("adopt_onstack", "__sigaction", Frames, &["__sigaction"]),
    // Functions that change a handler, apart from sigaction(2).
    (
        "wait_handlers",
        "handed_out",
        WAITS,
        &["signal", "bsd_signal", "sysv_signal", "__sysv_signal", "ssignal", "sigset"],
    ),
    ("wait_handlers", "interrupt", WAITS, &["siginterrupt"]),
    // Memory calls.
    ("disturbed", "dontneed", Frames, &["madvise"]),
    ("disturbed", "process-madvise-file", Frames, &["process_madvise"]),
    ("disturbed", "fixed", Frames, &["mmap"]),
    ("disturbed", "fixed-by-mmap64", Frames, &["mmap64"]),
    ("disturbed", "fixed-reserved", Frames, &["mprotect"]),
    ("disturbed", "keyed-reserved", Frames, &["pkey_mprotect"]),
    ("disturbed", "moved-over", Frames, &["mremap"]),
    ("disturbed", "heap-shrunk-and-grown", Frames, &["sbrk"]),
    ("disturbed", "heap-by-brk", Frames, &["brk"]),
    ("disturbed", "shared-over", Frames, &["shmat"]),
    ("locked", "detached-then-others", Frames, &["shmdt"]),
    ("locked", "unmapped-then-others", Frames, &["munmap"]),
    // The program's own locks.
    ("locked", "after", Frames, &["mlock"]),
    ("locked", "on-fault", Frames, &["mlock2"]),
    ("locked", "all-current", Frames, &["mlockall"]),
    ("locked", "unlocked", Frames, &["munlock"]),
    ("locked", "all-future-then-none", Frames, &["munlockall"]),
    // Filters that kill the process for calls that we make.
    ("confined", "prctl", ACTS, &["prctl"]),
    ("confined", "seccomp", ACTS, &["syscall"]),
    // Processes and threads.
    ("forked", "child-bare", Frames, &["_Fork"]),
    ("ordinary", "thread", Frames, &["pthread_create"]),
    ("ordinary", "thread-by-thrd-create", Frames, &["thrd_create"]),
    // Waits.
    ("wait_restarted", "wait", Restart, &["wait"]),
    ("wait_restarted", "__wait", Restart, &["__wait"]),
    ("wait_restarted", "waitpid", Restart, &["waitpid"]),
    ("wait_restarted", "__waitpid", Restart, &["__waitpid"]),
    ("wait_restarted", "wait3", Restart, &["wait3"]),
    ("wait_restarted", "wait4", Restart, &["wait4"]),
    ("wait_restarted", "waitid", Restart, &["waitid"]),
    ("wait_restarted", "syscall", Restart, &["syscall"]),
];

/// The hooks for which this libc has no function, so that no program can need them.
const fn absent(libc: Libc) -> &'static [&'static str] {
    match libc {
        Libc::Glibc | Libc::Glibc32 | Libc::Arm64 | Libc::Riscv64 => &[],
        Libc::OldGlibc | Libc::OldGlibc32 => &["_Fork", "process_madvise"],
        // It has brk and sbrk, but they only fail.
        Libc::Musl | Libc::Musl32 => &[
            "__sigaction",
            "__wait",
            "__waitpid",
            "brk",
            "pkey_mprotect",
            "process_madvise",
            "sbrk",
            "sigstack",
            "ssignal",
            "sysv_signal",
        ],
    }
}

/// What is wrong with a program that runs with `library`, if anything; `bare` is its output
/// without a library.
fn difference(run: &Run, shown: Shown, bare: &str, library: &Path) -> Option<String> {
    let with = run.clone().preload(library);
    let seen = match shown {
        Frames => with.env("SIGWARD", "on").frames().map(|trace| (trace.faulting(), trace.outcome)),
        Output(name, value) => with.env(name, value).output().map(|outcome| (0, outcome)),
        Restart => {
            let supervisor = Run::new(artifacts::restart().unwrap()).deadline(PATIENCE);
            let supervisor = supervisor.args(["--report", "/dev/null", "--"]);
            // Set after the supervisor, into which the library must not be preloaded.
            let supervisor = supervisor.args(["/usr/bin/env", "SIGWARD_WAIT=two-phase"]);
            let supervisor = supervisor.arg(format!("LD_PRELOAD={}", library.display()));
            supervisor.args(run.words()).output().map(|outcome| (0, outcome))
        }
    };
    let (faulting, outcome) = match seen {
        Ok(seen) => seen,
        Err(error) => return Some(error.to_string()),
    };
    let (held, own): (Vec<_>, Vec<_>) =
        outcome.stdout.lines().partition(|line| line.starts_with("held "));
    let same = own.into_iter().eq(bare.lines().filter(|line| !line.starts_with("held ")));
    let all_held = held.iter().all(|line| line.ends_with(" 16"));
    let right = outcome.success() && faulting == 0 && same && all_held;
    (!right).then(|| format!("{faulting} frames fault, {outcome:?}, without library: {bare:?}"))
}

const PATIENCE: Duration = Duration::from_secs(60);

fn plain(name: &str, argument: &str, libc: Libc) -> Run {
    // At a delivery the kernel also writes to the thread's rseq area, before the frame.
    let run = Run::new(build(name, libc).unwrap()).env("GLIBC_TUNABLES", "glibc.pthread.rseq=0");
    let run = run.deadline(PATIENCE);
    if argument.is_empty() { run } else { run.arg(argument) }
}

/// Runs a row with the whole library, and without each of its hooks in turn. Returns the hooks
/// that are needed.
fn judge(row: &Row, libc: Libc) -> Result<Vec<&'static str>, String> {
    let &(name, argument, shown, hooks) = row;
    if !programs::suits(name, libc).unwrap() {
        return Ok(Vec::new());
    }
    let run = plain(name, argument, libc);
    let bare = run.output().unwrap();
    if bare.code() == NOT_HERE {
        return Ok(Vec::new());
    }
    let what = format!("{libc:?} {name} {argument}");
    if !bare.success() {
        return Err(format!("{what}: does not run: {bare:?}"));
    }
    let look = |library: &Path| difference(&run, shown, &bare.stdout, library);
    if let Some(words) = look(artifacts::preload()) {
        return Err(format!("{what}: fails with the whole library: {words}"));
    }
    let mut needed = Vec::new();
    for &hook in hooks {
        if look(&artifacts::without(hook).unwrap()).is_some() {
            needed.push(hook);
        } else if !absent(libc).contains(&hook) {
            return Err(format!("{what}: passes without the hook {hook}"));
        }
    }
    Ok(needed)
}

#[test]
fn every_hook_is_needed_by_some_program() {
    let rows: Vec<_> =
        libcs().iter().flat_map(|libc| NEEDS.iter().map(move |row| (*libc, row))).collect();
    let next = AtomicUsize::new(0);
    let judge_some = || -> Vec<_> {
        let rows = iter::from_fn(|| rows.get(next.fetch_add(1, Ordering::Relaxed)));
        rows.map(|&(libc, row)| (libc, judge(row, libc))).collect()
    };
    // The programs sleep most of the time.
    let judged: Vec<_> = thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(judge_some));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let faults: Vec<_> = judged.iter().filter_map(|(_, result)| result.as_ref().err()).collect();
    assert!(faults.is_empty(), "{faults:#?}");

    let hooks = artifacts::exports(artifacts::preload()).unwrap();
    for &libc in libcs() {
        let shown = judged.iter().filter(|(of, _)| *of == libc);
        let shown = shown.flat_map(|(_, needed)| needed.iter().flatten().copied());
        let shown: BTreeSet<&str> = shown.collect();
        let expected = hooks.iter().map(String::as_str);
        let expected: BTreeSet<_> = expected.filter(|hook| !absent(libc).contains(hook)).collect();
        let missing: Vec<_> = expected.difference(&shown).collect();
        let remedy = "add a program to NEEDS that is worse off without, or remove the hook";
        assert!(missing.is_empty(), "{libc:?}: no program needs {missing:?}: {remedy}");
        let stale: Vec<_> = shown.difference(&expected).collect();
        assert!(stale.is_empty(), "{libc:?} has {stale:?}: see `absent`");
    }
}

/// The control: the library without a hook loads, acts, and lacks only that hook.
#[test]
fn a_library_without_one_hook_has_all_others() {
    let hooks = artifacts::exports(artifacts::preload()).unwrap();
    for &libc in libcs() {
        for hook in &hooks {
            let library = artifacts::without(hook).unwrap();
            let mut exports = artifacts::exports(&library).unwrap();
            assert!(exports.insert(hook.clone()) && exports == hooks, "{hook}: {exports:?}");

            let run = plain("altstack_mmap", "", libc).preload(library);
            let run = run.env("SIGWARD", "on").env("SIGWARD_STATS", "1");
            let outcome = run.output().unwrap();
            assert!(outcome.success(), "{hook}, {libc:?}: {outcome:?}");
            assert_eq!(outcome.figure("duty"), "act", "{hook}, {libc:?}: {outcome:?}");
        }
    }
    let words = artifacts::without("no_such_hook").unwrap_err().to_string();
    assert!(words.contains("exports no no_such_hook"), "{words}");
}
