//! The BSDs, macOS, illumos.

use sigward::quirks::{Confidence, FREEBSD_RESTART_R10};

use super::KERNEL;
use crate::quirks::model::{Arch, Cure, Harm, Proof, Reach, Row, System, Trigger, Versions, Whom};

const FREEBSD: Row = Row { system: System::FreeBsd, arches: &[Arch::X86_64], ..KERNEL };

pub static ROWS: &[Row] = &[
    Row {
        id: FREEBSD_RESTART_R10.id,
        versions: Versions::Acted(&FREEBSD_RESTART_R10),
        trigger: Trigger::Restart,
        cure: Cure::NoRestart,
        reach: Reach::Cured("SIGWARD=auto"),
        proof: Proof::Pretended,
        confidence: Confidence::Medium,
        summary: "a system call entered by SYSCALL loses its 4th argument when the kernel restarts \
                  it, so wait4 reaps the child and then fails with EFAULT",
        source: "FreeBSD PR 182161, Go commit 555da73c",
        ..FREEBSD
    },
    Row {
        id: "freebsd-xmm8",
        trigger: Trigger::AnyReturn,
        summary: "until December 2021, XMM8 to XMM15 hold garbage after a handler on processors \
                  with the init optimization",
        source: "golang/go#46272",
        ..FREEBSD
    },
    Row {
        id: "freebsd-sendsig-race",
        trigger: Trigger::FaultInFrame,
        cure: Cure::ResidentStacks,
        confidence: Confidence::Low,
        summary: "in development versions of September 2021, a task switch while the frame is \
                  copied out loses registers",
        source: "FreeBSD D31954, fixed by D32159",
        ..FREEBSD
    },
    Row {
        id: "netbsd-ymm",
        system: System::NetBsd,
        arches: &[Arch::X86_64],
        trigger: Trigger::AnyReturn,
        cure: Cure::Environment("GODEBUG=asyncpreemptoff=1"),
        confidence: Confidence::Medium,
        summary: "the upper halves of the YMM registers are lost over a signal",
        source: "golang/go#80285",
        ..KERNEL
    },
    Row {
        id: "openbsd-xsaves",
        system: System::OpenBsd,
        arches: &[Arch::X86_64],
        trigger: Trigger::CraftedFrame,
        whom: Whom::FrameMakers,
        harm: Harm::Slight,
        summary: "since 2023 the frame has whatever format this processor's XRSTOR reads",
        instead: "do not parse frames there",
        source: "OpenBSD commit 55fdb5fa9e71",
        ..KERNEL
    },
    Row {
        id: "macos-signals",
        system: System::MacOs,
        trigger: Trigger::AnySignal,
        confidence: Confidence::Medium,
        summary: "versions of 2020 and 2021 raise SIGILL on a paged-out stack, lose AVX-512 state, \
                  or leave upper vector halves dirty",
        source: "golang/go#37174",
        ..KERNEL
    },
    Row {
        id: "illumos-lx",
        system: System::Illumos,
        trigger: Trigger::AnySignal,
        whom: Whom::Programs("Linux programs in an lx zone"),
        harm: Harm::Crash,
        summary: "until 2015, SS_DISABLE was ignored",
        source: "joyent/illumos-joyent#70",
        ..KERNEL
    },
];
