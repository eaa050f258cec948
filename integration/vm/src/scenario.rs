//! What is measured: the table of scenarios, and the arms of each.

/// One boot of the virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Names the boot in the report and its log file.
    pub name: &'static str,
    /// The kernel: a file of `config/` without its ending.
    pub kernel: &'static str,
    /// Added to the kernel's command line.
    pub append: &'static str,
    /// Added to QEMU's.
    pub qemu: &'static [&'static str],
}

/// Without kernel preemption: where residency is the whole cure.
pub const NO_PREEMPT: Boot = Boot {
    name: "no-preempt",
    kernel: "no-preempt",
    append: "",
    qemu: &[],
};
/// With it: where user space can only lower the rate.
pub const PREEMPT: Boot = Boot {
    name: "preempt",
    kernel: "preempt",
    append: "",
    qemu: &[],
};
/// QEMU ends its translation block after each instruction, so that a signal can
/// land between any two.
pub const SINGLESTEP: Boot = Boot {
    name: "singlestep",
    kernel: "no-preempt",
    append: "",
    qemu: &["-singlestep"],
};
/// The kernel refuses alternate stacks that today's frame does not fit on. (The
/// setting is documented as `strict_sas_size=`, but 6.1 does not skip the `=`.)
pub const STRICT_SIZE: Boot = Boot {
    name: "strict-size",
    kernel: "no-preempt",
    append: "strict_sas_size1",
    qemu: &[],
};

/// All of them, in the order in which they run.
pub const BOOTS: [Boot; 4] = [NO_PREEMPT, PREEMPT, SINGLESTEP, STRICT_SIZE];

/// What an arm must show, or the run has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The defect strikes: it is measured at all.
    Struck,
    /// The defect does not strike, though it could: nothing corrupted, and no
    /// frame faulted. With kernel preemption: corrupted more rarely.
    Clean,
    /// Only measured.
    Told,
}

/// One run of a scenario's meter.
#[derive(Clone, Copy, Debug)]
pub struct Arm {
    /// Names the arm in the report.
    pub label: &'static str,
    /// `None`: without the library. Else with it, and with these variables.
    pub library: Option<&'static str>,
    /// What it must show.
    pub expect: Expect,
}

const CONTROL: Arm = Arm {
    label: "without",
    library: None,
    expect: Expect::Struck,
};
const HARDENED: Arm = Arm {
    label: "with",
    library: Some("SIGWARD=on"),
    expect: Expect::Clean,
};

/// What a meter counts, and so how it is judged and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Vector registers across signals.
    Registers,
    /// Results of the wait functions.
    Waits,
    /// Alternate stacks that are too small.
    Size,
}

/// One way in which a program meets a defect.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The row's heading in the report.
    pub title: &'static str,
    /// What the meter counts.
    pub kind: Kind,
    /// The meter and its arguments.
    pub meter: &'static str,
    /// Options of `confine`, or nothing.
    pub confine: &'static str,
    /// Settings of the kernel, as in `/sys/module/sigward/parameters`.
    pub settings: &'static str,
    /// How many times longer than others it measures.
    pub longer: u32,
    /// The runs.
    pub arms: Vec<Arm>,
    /// Where it runs.
    pub boots: Vec<Boot>,
}

impl Scenario {
    fn registers(title: &'static str, meter: &'static str) -> Self {
        Self {
            title,
            kind: Kind::Registers,
            meter,
            confine: "",
            // 2: the page fault sleeps, as real paging does.
            settings: "fpu_bug=2",
            longer: 1,
            arms: vec![CONTROL, HARDENED],
            boots: vec![NO_PREEMPT, PREEMPT],
        }
    }

    fn waits(title: &'static str, settings: &'static str) -> Self {
        let with = |label, library| Arm {
            label,
            library: Some(library),
            expect: Expect::Clean,
        };
        Self {
            title,
            kind: Kind::Waits,
            meter: "waits",
            confine: "",
            settings,
            longer: 1,
            arms: vec![
                CONTROL,
                with("int80", "SIGWARD=on SIGWARD_WAIT=int80"),
                with("two-phase", "SIGWARD=on SIGWARD_WAIT=two-phase"),
            ],
            boots: vec![NO_PREEMPT, PREEMPT],
        }
    }

    fn confined(self, confine: &'static str) -> Self {
        Self { confine, ..self }
    }

    fn set(self, settings: &'static str) -> Self {
        Self { settings, ..self }
    }

    fn longer(self, longer: u32) -> Self {
        Self { longer, ..self }
    }

    fn on(self, boot: Boot) -> Self {
        Self {
            boots: vec![boot],
            ..self
        }
    }

    fn arms(self, arms: &[Arm]) -> Self {
        Self {
            arms: arms.to_vec(),
            ..self
        }
    }
}

/// Every scenario, in the order of the report.
pub fn all() -> Vec<Scenario> {
    use Scenario as S;
    vec![
        S::registers(
            "alternate stack, the program's own `MADV_DONTNEED`",
            "evict dontneed",
        ),
        S::registers("the same, page faults that do not sleep", "evict dontneed")
            .set("fpu_bug=1")
            .longer(2)
            .on(PREEMPT),
        S::registers("the program's own `MADV_PAGEOUT`", "evict pageout"),
        S::registers(
            "the program's own `munlock`, then `MADV_DONTNEED`",
            "evict munlock",
        ),
        S::registers(
            "the program's own `munlockall`, then `MADV_DONTNEED`",
            "evict munlockall",
        ),
        S::registers("`mmap(MAP_FIXED)` over the stack", "evict map-fixed"),
        S::registers("child after `fork`", "fork_child"),
        S::registers("parent while another thread forks", "fork_parent"),
        S::registers(
            "program with several threads forks: parent and child",
            "fork_threads",
        ),
        S::registers(
            "several threads, each registers fresh stacks",
            "registrations mmap",
        ),
        S::registers("the same with stacks from `malloc`", "registrations malloc"),
        S::registers("nested signals, the second frame deeper", "nested"),
        S::registers("ordinary stack of fresh threads", "ordinary_stack thread"),
        S::registers("ordinary stack of the main thread", "ordinary_stack main"),
        S::registers(
            "nobody, 64 KiB of locked memory: own `MADV_DONTNEED`",
            "evict dontneed",
        )
        .confined("--nobody --memlock 65536"),
        S::registers("nobody, 64 KiB: several threads", "registrations mmap")
            .confined("--nobody --memlock 65536"),
        S::registers("nobody, 64 KiB: child after `fork`", "fork_child")
            .confined("--nobody --memlock 65536"),
        S::registers(
            "nobody, no locked memory: own `MADV_DONTNEED`",
            "evict dontneed",
        )
        .confined("--nobody --memlock 0"),
        S::registers(
            "nobody, no locked memory: several threads",
            "registrations mmap",
        )
        .confined("--nobody --memlock 0"),
        S::registers("nobody, no locked memory: child after `fork`", "fork_child")
            .confined("--nobody --memlock 0"),
        S::registers("kernel without `MADV_POPULATE_WRITE`", "registrations mmap")
            .confined("--no-populate"),
        S::registers("seccomp: native calls only", "registrations mmap").confined("--native-only"),
        S::registers(
            "`SIGWARD=auto`, the kernel says 5.3.1",
            "registrations mmap",
        )
        .set("fpu_bug=2 release=5.3.1")
        .arms(&[
            CONTROL,
            Arm {
                library: Some("SIGWARD=auto"),
                ..HARDENED
            },
        ]),
        S::registers(
            "`SIGWARD=auto`, the kernel says 6.1: not in range, left alone",
            "nested",
        )
        .arms(&[
            CONTROL,
            Arm {
                library: Some("SIGWARD=auto"),
                expect: Expect::Struck,
                ..HARDENED
            },
        ]),
        S::registers(
            "stack locked by the program itself: what residency can reach",
            "pinned",
        )
        .longer(10)
        .arms(&[Arm {
            expect: Expect::Told,
            ..CONTROL
        }]),
        S::registers(
            "shape of the published reproducer, straight-line code",
            "published",
        )
        .longer(10)
        .on(SINGLESTEP),
        S::waits("R10 lost", "r10_bug=1"),
        S::waits("R10, R8 and R9 lost", "r10_bug=2"),
        S::waits(
            "R10 lost, garbage is mapped",
            "r10_bug=1 r10_garbage=0x10000000",
        ),
        S::waits(
            "R10, R8 and R9 lost, garbage is mapped",
            "r10_bug=2 r10_garbage=0x10000000",
        ),
        S::waits("R10 lost, no `pidfd_open`", "r10_bug=1").confined("--no-pidfd"),
        S::waits("R10 lost, seccomp: native calls only", "r10_bug=1").confined("--native-only"),
        S {
            title: "2048 bytes",
            kind: Kind::Size,
            meter: "small_stack",
            confine: "",
            settings: "",
            longer: 1,
            arms: vec![
                CONTROL,
                Arm {
                    library: Some("SIGWARD=on SIGWARD_SIZE=fix"),
                    ..HARDENED
                },
            ],
            boots: vec![NO_PREEMPT, STRICT_SIZE],
        },
    ]
}
