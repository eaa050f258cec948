//! The table of suites.

use std::path::Path;

/// One suite: a script, its arguments, and what they need.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// Its name in the tables.
    pub name: &'static str,
    /// `scripts/NAME.sh`. `NAME.prepare.sh`, if it exists, builds what all runs share.
    pub script: &'static str,
    /// Arguments of the script.
    pub args: &'static [&'static str],
    /// What must be installed: a file, and the Debian packages that contain it.
    pub needs: Needs,
    /// The Debian source packages whose tests it runs.
    pub sources: &'static [&'static str],
    /// It runs as a user who may lock 64 KiB of memory: as nobody, if we are root.
    pub confined: bool,
    /// The selections that contain it.
    pub selection: Selection,
    /// A run that takes more seconds counts as hung.
    pub seconds: u64,
    /// Tests which pass without the library and fail with it, because it does what it is for: a
    /// test, and the arms. An empty list means all of them.
    pub meant: &'static [(&'static str, &'static [&'static str])],
}

/// When a suite runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// In `make test`; `make suites` has a longer one instead.
    Short,
    /// In `make suites`.
    Long,
    /// In both.
    Both,
}

const GCC: (&str, &str) = ("/usr/bin/gcc", "gcc libc6-dev");
const PYTHON: (&str, &str) = ("/usr/bin/python3", "python3");
const CPYTHON: Needs =
    &[PYTHON, ("/usr/lib/python3.11/test/test_signal.py", "libpython3.11-testsuite")];
const GDB: Needs = &[GCC, ("/usr/bin/gdb", "gdb"), ("/usr/bin/pgrep", "procps")];
const GO: Needs =
    &[GCC, ("/usr/bin/go", "golang-go"), ("/usr/lib/go-1.19/misc/cgo/test", "golang-src")];
const KERNEL: Needs = &[
    GCC,
    ("/usr/src/linux-source-6.1.tar.xz", "linux-source-6.1"),
    ("/usr/include/sys/capability.h", "libcap-dev"),
    ("/usr/bin/xz", "xz-utils"),
];
const STRESS: Needs = &[("/usr/bin/stress-ng", "stress-ng")];
const BRIEF: &[&str] = &[
    "signal",
    "bad-altstack",
    "wait",
    "fork",
    "vfork",
    "mlock",
    "madvise",
    "stack",
    "sigchld",
    "zombie",
    "munmap",
];
/// What `scripts/deep.prepare.sh` and its programs need.
pub(crate) const DEEP: Needs = &[GCC, PYTHON, ("/usr/include/sigsegv.h", "libsigsegv-dev")];
pub(crate) const RUBY: Needs = &[("/usr/bin/ruby", "ruby")];
pub(crate) const RUNTIMES: Needs = &[
    GCC,
    ("/usr/bin/g++", "g++"),
    ("/usr/include/sigsegv.h", "libsigsegv-dev"),
    ("/usr/include/boost/test/included/unit_test.hpp", "libboost-test-dev"),
    ("/usr/bin/ocamlopt", "ocaml-nox"),
    ("/usr/bin/rustc", "rustc"),
    ("/usr/bin/erl", "erlang-base"),
];
pub(crate) const MANAGED: Needs = &[
    GCC,
    PYTHON,
    ("/usr/bin/pip3", "python3-pip"),
    ("/usr/bin/mcs", "mono-mcs"),
    ("/usr/bin/go", "golang-go"),
];
const COROUTINES: Needs = &[
    GCC,
    ("/usr/bin/make", "make"),
    ("/usr/bin/pkg-config", "pkg-config"),
    ("/usr/include/glib-2.0/glib.h", "libglib2.0-dev"),
    ("/usr/bin/pgrep", "procps"),
];
const POSTGRES: Needs = &[("/usr/lib/postgresql/15/bin/pgbench", "postgresql")];

const fn cpython(name: &'static str, args: &'static [&'static str]) -> Suite {
    other(name, "cpython", args, CPYTHON)
}

const fn other(
    name: &'static str,
    script: &'static str,
    args: &'static [&'static str],
    needs: Needs,
) -> Suite {
    Suite {
        name,
        script,
        args,
        needs,
        sources: &[],
        confined: false,
        selection: Selection::Long,
        seconds: 600,
        meant: &[],
    }
}

const fn short(suite: Suite) -> Suite {
    Suite { selection: Selection::Short, ..suite }
}

const fn both(suite: Suite) -> Suite {
    Suite { selection: Selection::Both, ..suite }
}

const fn confined(suite: Suite) -> Suite {
    Suite { confined: true, ..suite }
}

const fn from(sources: &'static [&'static str], suite: Suite) -> Suite {
    Suite { sources, ..suite }
}

/// All of them.
#[rustfmt::skip] // a table
pub static SUITES: &[Suite] = &[
    cpython("CPython test_signal", &["test_signal"]),
    cpython("CPython test_faulthandler", &["test_faulthandler"]),
    cpython("CPython test_wait3, test_wait4, test_fork1", &["test_wait3", "test_wait4", "test_fork1"]),
    both(cpython("CPython test_posix, test_mmap, test_pty", &["test_posix", "test_mmap", "test_pty"])),
    cpython("CPython test_subprocess", &["test_subprocess"]),
    cpython("CPython test_os", &["test_os"]),
    cpython("CPython test_threading", &["test_threading"]),
    cpython("CPython test_threadsignals", &["test_threadsignals"]),
    cpython("CPython test_asyncio (subprocesses, signals)",
        &["test_asyncio.test_subprocess", "test_asyncio.test_unix_events"]),
    cpython("CPython test_multiprocessing_fork (processes, pools)",
        &["test_multiprocessing_fork", "-m", "*Process*", "-m", "*Pool*"]),
    short(cpython("CPython: signals and crashes, a selection", &["test_signal", "test_faulthandler",
        "-m", "*PosixTests*", "-m", "*SiginterruptTest*", "-m", "*PendingSignalsTests*", "-m", "*ItimerTest*",
        "-m", "test_sigsegv", "-m", "test_sigabrt", "-m", "test_sigfpe", "-m", "test_stack_overflow",
        "-m", "test_register*", "-m", "test_fatal_error*"])),
    confined(cpython("CPython test_signal, test_faulthandler, confined", &["test_signal", "test_faulthandler"])),
    short(other("stress-ng --verify (brief)", "stress-ng", BRIEF, STRESS)),
    confined(other("stress-ng --verify (brief), confined", "stress-ng", BRIEF, STRESS)),
    other("stress-ng --verify", "stress-ng", &[], STRESS),
    other("Go misc/cgo/test", "go", &["test"], GO),
    other("Go runtime (cgo, crashes, signals)", "go", &["runtime"], GO),
    // The first demands that a program dies for want of room on its alternate stack; the second, that a
    // handler's variables are in the program's own.
    both(Suite { meant: &[("x86/sigaltstack", &[]), ("sigaltstack/sas", &["fix"])],
        ..other("kernel selftests", "kselftest", &[], KERNEL) }),
    from(&["perl"], other("perl t/", "perl", &["op/fork", "op/alarm", "op/die_exit", "op/exec", "op/kill0",
        "op/sigdispatch", "op/sigsystem", "op/waitpid", "io/pipe"], &[("/usr/bin/perl", "perl")])),
    from(&["ruby3.1"], other("ruby test_signal, test_process, test_thread", "ruby", &["signal", "process", "thread"],
        RUBY)),
    from(&["bash"], other("bash tests/", "bash", &["trap", "jobs", "execscript", "builtins", "procsub", "comsub",
        "coproc", "lastpipe", "redir", "set-e", "errors", "exportfunc", "read", "posix2", "func", "heredoc"], &[GCC])),
    from(&["make-dfsg"], other("GNU make tests/", "make", &[],
        &[GCC, ("/usr/bin/make", "make"), ("/usr/bin/perl", "perl")])),
    both(other("job control; make -j", "jobs", &[], &[("/usr/bin/make", "make"), ("/usr/bin/script", "bsdutils")])),
    from(&["redis"], other("redis tests/", "redis", &["unit/aofrw", "unit/introspection", "unit/lazyfree",
        "unit/shutdown", "integration/rdb", "integration/aof", "integration/logging"],
        &[("/usr/bin/redis-server", "redis-server"), ("/usr/bin/tclsh", "tcl")])),
    other("nginx: reloads, killed workers", "nginx", &[],
        &[("/usr/sbin/nginx", "nginx-light"), PYTHON, ("/usr/bin/pgrep", "procps")]),
    other("PostgreSQL: pgbench -C, crash recovery", "postgres", &[], POSTGRES),
    other("OpenJDK", "java", &[], &[("/usr/bin/javac", "openjdk-17-jdk-headless")]),
    other("libsigsegv, OCaml, Boost.Test, Rust, Erlang", "runtimes", &[], RUNTIMES),
    other("Mono; .NET with a library in Go", "managed", &[], MANAGED),
    from(&["pth", "qemu"], other("GNU Pth, QEMU's coroutines", "coroutines", &[], COROUTINES)),
    other("node", "node", &[], &[("/usr/bin/node", "nodejs")]),
    other("gdb", "gdb", &[], GDB),
    both(other("strace", "strace", &[], &[GCC, ("/usr/bin/strace", "strace")])),
];

impl Suite {
    /// Whether that `test` fails in `arm` is meant.
    #[must_use]
    pub fn means(&self, test: &str, arm: &str) -> bool {
        let arms = self.meant.iter().find(|(name, _)| *name == test).map(|(_, arms)| *arms);
        arms.is_some_and(|arms| arms.is_empty() || arms.contains(&arm))
    }

    /// Whether it is in the short selection, or else in the long one.
    #[must_use]
    pub fn selected(&self, short: bool) -> bool {
        self.selection != if short { Selection::Long } else { Selection::Short }
    }

    /// Whether everything that it needs is installed.
    #[must_use]
    pub fn installed(&self) -> bool {
        installed(self.needs)
    }
}

/// What must be installed: files, each with the Debian packages that contain it.
pub type Needs = &'static [(&'static str, &'static str)];

/// Whether all of it is installed.
#[must_use]
pub fn installed(needs: Needs) -> bool {
    needs.iter().all(|(file, _)| Path::new(file).exists())
}

/// The packages of all of these, each once.
pub fn packages(all: impl Iterator<Item = Needs>) -> String {
    let mut all: Vec<_> = all.flatten().flat_map(|(_, packages)| packages.split(' ')).collect();
    all.sort_unstable();
    all.dedup();
    all.join(" ")
}
