//! The functions that libsigward.so replaces, by what they do. Programs that use none of
//! a group need nothing of it.

/// What a group of functions does, and their names.
pub type Group = (&'static str, &'static [&'static str]);

/// The group that only 64-bit programs need.
pub const WAITS: &str = "waits";

/// All of them. `command/tests/doctor` compares them with the library.
pub const GROUPS: &[Group] = &[
    ("alternate stacks", &["sigaltstack", "sigstack"]),
    (
        "handlers",
        &[
            "sigaction",
            "__sigaction",
            "signal",
            "ssignal",
            "bsd_signal",
            "sysv_signal",
            "__sysv_signal",
            "sigset",
            "siginterrupt",
        ],
    ),
    ("threads", &["pthread_create", "thrd_create"]),
    ("forks", &["_Fork"]),
    (
        "memory",
        &[
            "madvise",
            "process_madvise",
            "munmap",
            "mmap",
            "mmap64",
            "mremap",
            "brk",
            "sbrk",
            "shmat",
            "shmdt",
            "mprotect",
            "pkey_mprotect",
            "mlock",
            "mlock2",
            "mlockall",
            "munlock",
            "munlockall",
        ],
    ),
    (WAITS, &["wait", "__wait", "waitpid", "__waitpid", "wait3", "wait4", "waitid"]),
    ("seccomp", &["prctl"]),
    ("any call by number", &["syscall"]),
];
