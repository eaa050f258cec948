//! What is measured: the table of scenarios, and the arms of each.

use sigward_harness::scenarios::ALL;

use crate::boot::{
    AVX2, Boot, GENUINE, GENUINE_PREEMPT, GENUINE_SINGLESTEP, NO_PREEMPT, PREEMPT, SINGLESTEP,
    STRICT_SIZE,
};

/// What an arm must show, or else the run fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The defect occurs: the measurement works.
    Defect,
    /// The defect does not occur although it could: nothing is corrupted, and no frame
    /// faults. With kernel preemption: corruption is rarer.
    Clean,
    /// A known limit: only reported.
    Reported,
}

/// One run of a scenario's meter.
#[derive(Clone, Copy, Debug)]
pub struct Arm {
    /// Names the arm in the report.
    pub label: &'static str,
    /// `None` for a run without the library; otherwise the variables to set.
    pub library: Option<&'static str>,
    /// What it must show.
    pub expect: Expect,
}

const CONTROL: Arm = Arm { label: "without", library: None, expect: Expect::Defect };
const HARDENED: Arm = Arm { label: "with", library: Some("SIGWARD=on"), expect: Expect::Clean };

/// What a meter counts, which decides how it is judged and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Vector registers across signals.
    Registers,
    /// Results of the wait functions.
    Waits,
    /// Alternate stacks that are too small.
    Size,
    /// What the command finds out by trying.
    Probe,
    /// What it says about the kernel from its name.
    Check,
    /// Page faults in a family of the harness's scenarios, both arms in one run.
    Faults,
    /// The stress program: random operations, checked after each.
    Stress,
}

impl Kind {
    /// All kinds, in the order of the report.
    pub const ALL: [Self; 7] = [
        Self::Check,
        Self::Registers,
        Self::Waits,
        Self::Size,
        Self::Probe,
        Self::Faults,
        Self::Stress,
    ];
}

/// One way in which a program is exposed to a defect.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The row's heading in the report.
    pub title: &'static str,
    /// What the meter counts.
    pub kind: Kind,
    /// The meter and its arguments.
    pub meter: &'static str,
    /// Options of `confine`, or empty.
    pub confine: &'static str,
    /// Settings of the kernel, as in `/sys/module/sigward/parameters`.
    pub settings: &'static str,
    /// Whether the meter's faults are made to sleep, as on a busy machine: for kernels
    /// without `fpu_bug=2`.
    pub contend: bool,
    /// Whether the meter runs with glibc 2.31, not with this machine's.
    pub old_glibc: bool,
    /// The factor by which it measures longer than others.
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
            contend: false,
            old_glibc: false,
            longer: 1,
            arms: vec![CONTROL, HARDENED],
            boots: vec![NO_PREEMPT, PREEMPT],
        }
    }

    fn waits(title: &'static str, settings: &'static str, confine: &'static str) -> Self {
        let with = |label, library| Arm { label, library: Some(library), expect: Expect::Clean };
        Self {
            kind: Kind::Waits,
            confine,
            settings,
            arms: vec![
                CONTROL,
                with("int80", "SIGWARD=on SIGWARD_WAIT=int80"),
                with("two-phase", "SIGWARD=on SIGWARD_WAIT=two-phase"),
            ],
            ..Self::registers(title, "waits")
        }
    }
}

/// Every scenario, in the order of the report.
pub fn all() -> Vec<Scenario> {
    [
        programs(),
        deep_stacks(),
        surroundings(),
        with_old_glibc(),
        verdicts(),
        bounds(),
        waits(),
        sizes(),
        probes(),
        families(),
        stress(),
    ]
    .concat()
}

/// The scenarios that can show the defect on a kernel that has the defect itself. Omits those that
/// only take away from 6.1 what the kernels of 2019 did not have.
pub fn genuine() -> Vec<Scenario> {
    let meters = [programs(), deep_stacks(), surroundings(), with_old_glibc(), bounds()];
    let meters = meters.concat().into_iter().filter(|scenario| {
        let later = ["--no-populate", "--no-minsigstksz"];
        scenario.settings == "fpu_bug=2" && !later.contains(&scenario.confine)
    });
    let plain = |label, library, expect| Arm { label, library, expect };
    let command =
        |kind, title, meter, arms| Scenario { kind, arms, ..Scenario::registers(title, meter) };
    let preloaded = plain("preloaded", Some("SIGWARD=on"), Expect::Defect);
    let mut all: Vec<_> = meters.collect();
    all.push(Scenario {
        arms: vec![CONTROL, plain("with", Some("SIGWARD=auto"), Expect::Clean)],
        ..Scenario::registers("`SIGWARD=auto`", "registrations mmap")
    });
    all.push(command(
        Kind::Check,
        "`sigward check`",
        "check",
        vec![plain("plain", None, Expect::Defect)],
    ));
    all.push(command(
        Kind::Probe,
        "registers",
        "probe --whole --seconds 6",
        vec![plain("plain", None, Expect::Defect), preloaded],
    ));
    for scenario in &mut all {
        scenario.settings = "";
        scenario.contend = true;
        scenario.boots = match scenario.boots[..] {
            [SINGLESTEP] => vec![GENUINE_SINGLESTEP],
            _ => vec![GENUINE, GENUINE_PREEMPT],
        };
    }
    all
}

/// What programs do with their stacks.
#[rustfmt::skip] // a table
fn programs() -> Vec<Scenario> {
    [
        ("alternate stack, the program's own `MADV_DONTNEED`", "evict dontneed"),
        ("the program's own `MADV_PAGEOUT`", "evict pageout"),
        ("the program's own `munlock`, then `MADV_DONTNEED`", "evict munlock"),
        ("the program's own `munlockall`, then `MADV_DONTNEED`", "evict munlockall"),
        ("`mmap(MAP_FIXED)` over the stack", "evict map-fixed"),
        ("child after `fork`", "fork_child"),
        ("parent while another thread forks", "fork_parent mmap"),
        ("program with several threads forks: parent and child", "fork_threads"),
        ("several threads, each registers fresh stacks", "registrations mmap"),
        ("the same with stacks from `malloc`", "registrations malloc"),
        ("nested signals, the second frame deeper", "nested"),
        ("ordinary stack of fresh threads, 28 KiB deep", "ordinary_stack thread 6"),
        ("ordinary stack of the main thread, 28 KiB deep", "ordinary_stack main 6"),
    ]
    .map(|(title, meter)| Scenario::registers(title, meter))
    .to_vec()
}

/// Ordinary stacks used beyond the part that is held by default.
fn deep_stacks() -> Vec<Scenario> {
    let deeper = Arm { library: Some("SIGWARD=on SIGWARD_STACK=131072"), ..HARDENED };
    [
        ("the same of threads, 100 KiB, `SIGWARD_STACK=131072`", "ordinary_stack thread 24"),
        ("the same of the main thread", "ordinary_stack main 24"),
    ]
    .map(|(title, meter)| Scenario {
        arms: vec![CONTROL, deeper],
        ..Scenario::registers(title, meter)
    })
    .to_vec()
}

/// The surroundings of programs: user, limits, kernel.
#[rustfmt::skip] // a table
fn surroundings() -> Vec<Scenario> {
    const LITTLE: &str = "--nobody --memlock 65536";
    const NOTHING: &str = "--nobody --memlock 0";
    [
        ("nobody, 64 KiB of locked memory: own `MADV_DONTNEED`", "evict dontneed", LITTLE),
        ("nobody, 64 KiB: several threads", "registrations mmap", LITTLE),
        ("nobody, 64 KiB: child after `fork`", "fork_child", LITTLE),
        ("nobody, no locked memory: own `MADV_DONTNEED`", "evict dontneed", NOTHING),
        ("nobody, no locked memory: several threads", "registrations mmap", NOTHING),
        ("nobody, no locked memory: child after `fork`", "fork_child", NOTHING),
        ("kernel without `MADV_POPULATE_WRITE`", "registrations mmap", "--no-populate"),
        ("kernel without `AT_MINSIGSTKSZ`", "registrations mmap", "--no-minsigstksz"),
        ("seccomp: native calls only", "registrations mmap", "--native-only"),
    ]
    .map(|(title, meter, confine)| Scenario { confine, ..Scenario::registers(title, meter) })
    .to_vec()
}

/// The C library from the time of those kernels, with a separate libpthread.
fn with_old_glibc() -> Vec<Scenario> {
    let registers = [
        ("glibc 2.31: own `MADV_DONTNEED`", "evict dontneed"),
        ("glibc 2.31: several threads", "registrations mmap"),
        ("glibc 2.31: program with several threads forks", "fork_threads"),
        ("glibc 2.31: ordinary stack of fresh threads", "ordinary_stack thread 6"),
    ];
    let mut all: Vec<_> =
        registers.iter().map(|(title, meter)| Scenario::registers(title, meter)).collect();
    // Only arguments of wait4: this glibc's fork(2) does not survive it if its clone
    // loses them.
    let waits = ("glibc 2.31: R10, R8 and R9 of wait4 lost", "r10_bug=2 r10_nr=61");
    all.push(Scenario::waits(waits.0, waits.1, ""));
    for scenario in &mut all {
        scenario.old_glibc = true;
    }
    all
}

/// `SIGWARD=auto` acts if the kernel is in a known range, and only then.
fn verdicts() -> Vec<Scenario> {
    let auto = |expect| Arm { library: Some("SIGWARD=auto"), expect, ..HARDENED };
    vec![
        Scenario {
            settings: "fpu_bug=2 release=5.3.1",
            arms: vec![CONTROL, auto(Expect::Clean)],
            ..Scenario::registers("`SIGWARD=auto`, kernel called 5.3.1", "registrations mmap")
        },
        Scenario {
            arms: vec![CONTROL, auto(Expect::Defect)],
            ..Scenario::registers("`SIGWARD=auto`, kernel called 6.1: left alone", "nested")
        },
    ]
}

/// The limits of residency, and the defect as it was first shown.
fn bounds() -> Vec<Scenario> {
    vec![
        Scenario {
            settings: "fpu_bug=1",
            longer: 2,
            boots: vec![PREEMPT],
            ..Scenario::registers("own `MADV_DONTNEED`, faults do not sleep", "evict dontneed")
        },
        Scenario {
            arms: vec![CONTROL, Arm { expect: Expect::Reported, ..HARDENED }],
            ..Scenario::registers(
                "parent, stack from `malloc`, another thread forks (a known limit)",
                "fork_parent malloc",
            )
        },
        Scenario {
            longer: 5,
            arms: vec![Arm { expect: Expect::Reported, ..CONTROL }],
            ..Scenario::registers("stack locked by the program itself", "pinned")
        },
        Scenario {
            longer: 10,
            boots: vec![SINGLESTEP],
            ..Scenario::registers("shape of the published reproducer", "published")
        },
    ]
}

/// The waits: every function under a storm of stops, continues and signals.
#[rustfmt::skip] // a table
fn waits() -> Vec<Scenario> {
    [
        ("R10 lost", "r10_bug=1", ""),
        ("R10, R8 and R9 lost", "r10_bug=2", ""),
        ("R10 lost, garbage is mapped", "r10_bug=1 r10_garbage=0x10000000", ""),
        ("R10, R8 and R9 lost, garbage is mapped", "r10_bug=2 r10_garbage=0x10000000", ""),
        ("R10 lost, no `pidfd_open`", "r10_bug=1", "--no-pidfd"),
        ("R10 lost, seccomp: native calls only", "r10_bug=1", "--native-only"),
    ]
    .map(|(title, settings, confine)| Scenario::waits(title, settings, confine))
    .to_vec()
}

/// Alternate stacks that are too small for today's frame.
fn sizes() -> Vec<Scenario> {
    let fixed = Arm { library: Some("SIGWARD=on SIGWARD_SIZE=fix"), ..HARDENED };
    let default = Arm { label: "default", library: Some("SIGWARD=auto"), ..HARDENED };
    vec![Scenario {
        kind: Kind::Size,
        settings: "",
        arms: vec![CONTROL, fixed, default],
        boots: vec![NO_PREEMPT, STRICT_SIZE],
        ..Scenario::registers("2048 bytes", "small_stack")
    }]
}

/// `sigward probe` distinguishes a kernel with a defect from one without, and is not misled if
/// the library is preloaded.
fn probes() -> Vec<Scenario> {
    let plain = |expect| Arm { label: "plain", library: None, expect };
    let preloaded = Arm { label: "preloaded", expect: Expect::Defect, ..HARDENED };
    [
        ("no defect", "", vec![plain(Expect::Clean)]),
        ("registers, faults do not sleep", "fpu_bug=1", vec![plain(Expect::Defect)]),
        ("registers", "fpu_bug=2", vec![plain(Expect::Defect), preloaded]),
        ("R10 lost", "r10_bug=1", vec![plain(Expect::Defect), preloaded]),
        ("R10, R8 and R9 lost", "r10_bug=2", vec![plain(Expect::Defect)]),
    ]
    .map(|(title, settings, arms)| Scenario {
        kind: Kind::Probe,
        settings,
        arms,
        ..Scenario::registers(title, "probe --whole --seconds 2")
    })
    .to_vec()
}

/// Every fault scenario, where frames are small.
fn families() -> Vec<Scenario> {
    ALL.iter()
        .map(|family| Scenario {
            kind: Kind::Faults,
            settings: "",
            // One run makes both arms.
            arms: vec![HARDENED],
            boots: vec![AVX2],
            ..Scenario::registers(family.title, family.program)
        })
        .collect()
}

/// The stress program in the machine, with room for all locks, and with little room.
fn stress() -> Vec<Scenario> {
    [("root", ""), ("nobody, 64 KiB of locked memory", "--nobody --memlock 65536")]
        .map(|(title, confine)| Scenario {
            kind: Kind::Stress,
            confine,
            settings: "",
            boots: vec![AVX2],
            ..Scenario::registers(title, "stress --seconds 6")
        })
        .to_vec()
}
