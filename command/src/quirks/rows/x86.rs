//! Linux on x86.

use sigward::quirks::{ALTSTACK_SIZE, Confidence, LINUX_SIGFRAME_FPU};

use super::KERNEL;
use crate::quirks::model::{
    Arch, Cpu, Cure, Harm, Need, Proof, Reach, Row, Trigger, Versions, Whom,
};
use crate::quirks::ranges::{Ranges, v};

const X86: Row = Row { arches: Arch::ALL_X86, ..KERNEL };

pub static ROWS: &[Row] = &[
    Row {
        id: LINUX_SIGFRAME_FPU.id,
        versions: Versions::Acted(&LINUX_SIGFRAME_FPU),
        trigger: Trigger::FaultInFrame,
        cure: Cure::ResidentStacks,
        reach: Reach::Cured("SIGWARD=auto; on a preemptible kernel a rarer form stays"),
        proof: Proof::Shown,
        summary: "a page fault while the kernel writes a signal frame can put another task's \
                  vector registers into it",
        source: "CVE-2019-19602, bugzilla.kernel.org 205663, golang/go#35777; introduced by \
                 5f409e20b794, fixed by 59c4bd853abc",
        ..X86
    },
    Row {
        id: "x86-xrstor-fault",
        versions: Versions::Record("CVE-2021-47226"),
        trigger: Trigger::FaultInFrame,
        reach: Reach::Told,
        confidence: Confidence::Medium,
        summary: "a fault while the kernel reads a frame back can change registers that belong to \
                  another task",
        instead: "a kernel that has the fix; whether resident signal stacks help is not tested",
        ..X86
    },
    Row {
        id: "x86-xstate-header",
        versions: Versions::Record("CVE-2021-47227"),
        trigger: Trigger::CraftedFrame,
        whom: Whom::FrameMakers,
        summary: "a frame with an invalid state header spoils the kernel's own copy",
        ..X86
    },
    Row {
        id: "x86-xsave-spin",
        versions: Versions::Record("CVE-2024-26603"),
        trigger: Trigger::CraftedFrame,
        whom: Whom::FrameMakers,
        harm: Harm::Crash,
        summary: "the return from a handler never ends if the frame understates its size and a \
                  part of it is not mapped",
        ..X86
    },
    Row {
        id: "x86-magic2",
        versions: Versions::Inferred(&Ranges {
            since: Some(v(6, 15, 0)),
            mainline: Some(v(7, 1, 0)),
            somewhere: &[(6, 18)],
            ..Ranges::NONE
        }),
        trigger: Trigger::CraftedFrame,
        whom: Whom::FrameMakers,
        summary: "a frame smaller than this processor's state restores only the oldest part of \
                  it: vector registers are silently reset",
        instead: "restore checkpoints only on processors of the same kind",
        source: "lkml 2604.3/09167; introduced by dc8aa31a7ac2, fixed by 44eeff9bc467",
        ..X86
    },
    Row {
        id: "x86-xfd-signal",
        needs: &[Need::Cpu(Cpu::Amx)],
        versions: Versions::Record("CVE-2025-68171"),
        confidence: Confidence::Medium,
        harm: Harm::Slight,
        summary: "after an AMX task was preempted, the state is not in step when a signal is \
                  delivered: a kernel warning, perhaps wrong initial values",
        ..X86
    },
    Row {
        id: "x86-xfd-hotplug",
        needs: &[Need::Cpu(Cpu::Amx), Need::That("processors are taken offline and back")],
        versions: Versions::Record("CVE-2024-35801"),
        harm: Harm::Crash,
        summary: "after a processor came back online, the kernel may take a fault on AMX state",
        ..X86
    },
    Row {
        id: "x86-pkru-altstack",
        needs: &[Need::Cpu(Cpu::ProtectionKeys)],
        versions: Versions::Inferred(&Ranges {
            since: Some(v(4, 9, 0)),
            mainline: Some(v(6, 12, 0)),
            somewhere: &[(6, 6), (6, 10), (6, 11)],
            ..Ranges::NONE
        }),
        trigger: Trigger::AnySignal,
        whom: Whom::Programs("programs whose alternate stack has a protection key"),
        harm: Harm::Crash,
        cure: Cure::Room,
        summary: "a signal on an alternate stack whose protection key is off kills the program",
        instead: "keep signal stacks on key 0",
        source: "70044df250d0, d10b554919d4",
        ..X86
    },
    Row {
        id: "x86-shstk-sigreturn",
        arches: &[Arch::X86_64],
        needs: &[Need::Cpu(Cpu::ShadowStack)],
        versions: Versions::Record("CVE-2026-46063"),
        trigger: Trigger::FaultInFrame,
        whom: Whom::Programs("programs that run with a shadow stack"),
        harm: Harm::Crash,
        summary: "the return from a handler deadlocks if reading the shadow stack faults while \
                  another thread waits for the address space's lock",
        instead: "leave shadow stacks off for such programs (glibc's default)",
        ..X86
    },
    Row {
        id: "x86-shstk-killable",
        arches: &[Arch::X86_64],
        needs: &[Need::Cpu(Cpu::ShadowStack)],
        versions: Versions::Record("CVE-2026-43109"),
        trigger: Trigger::AnyReturn,
        whom: Whom::Programs("programs that run with a shadow stack"),
        harm: Harm::Crash,
        summary: "a lock that was refused to a dying process is released anyway",
        instead: "leave shadow stacks off (glibc's default)",
        ..X86
    },
    Row {
        id: "x86-fred-step",
        arches: &[Arch::X86_64],
        needs: &[Need::Cpu(Cpu::Fred)],
        versions: Versions::Inferred(&Ranges {
            since: Some(v(6, 9, 0)),
            mainline: Some(v(6, 16, 0)),
            somewhere: &[(6, 12), (6, 15)],
            ..Ranges::NONE
        }),
        trigger: Trigger::AnyReturn,
        whom: Whom::Programs("programs that single-step themselves"),
        harm: Harm::Crash,
        summary: "a SIGTRAP handler that sets the trap flag is entered again for ever",
        source: "e34dbbc85d64",
        ..X86
    },
    Row {
        id: "x86-restart-nr",
        versions: Versions::Inferred(&Ranges {
            since: Some(v(2, 6, 0)),
            mainline: Some(v(5, 12, 0)),
            somewhere: &[(4, 4), (4, 9), (4, 14), (4, 19), (5, 4), (5, 10), (5, 11)],
            ..Ranges::NONE
        }),
        trigger: Trigger::Restart,
        whom: Whom::Programs("traced programs that mix int 0x80 and syscall"),
        cure: Cure::NoRestart,
        confidence: Confidence::Medium,
        summary: "a sleep that is restarted under a tracer continues with the number of the other \
                  system call table",
        source: "8c150ba2fb59",
        ..X86
    },
    Row {
        id: "x86-amx-denied",
        arches: &[Arch::X86_64],
        needs: &[Need::Cpu(Cpu::Amx)],
        versions: Versions::Every,
        trigger: Trigger::Size,
        whom: Whom::Programs("programs that ask for AMX while a thread has a small stack"),
        harm: Harm::Slight,
        cure: Cure::Room,
        reach: Reach::Cured("SIGWARD_SIZE=fix, for stacks that are set through libc"),
        proof: Proof::Shown,
        summary: "the kernel refuses AMX to a process while any thread's alternate stack is too \
                  small for its frame",
        instead: "size stacks by AT_MINSIGSTKSZ, those of every library",
        source: "openvinotoolkit/openvino PR 11894, oxcaml PR 3986",
        ..X86
    },
    Row {
        id: ALTSTACK_SIZE.id,
        needs: &[Need::Cpu(Cpu::Avx512)],
        versions: Versions::Every,
        trigger: Trigger::Size,
        whom: Whom::Programs("programs with alternate stacks of the old constant size"),
        harm: Harm::Crash,
        cure: Cure::Room,
        reach: Reach::Cured("SIGWARD_SIZE=fix"),
        proof: Proof::Pretended,
        summary: "an alternate stack of the old constant size is too small for the signal frame \
                  of a processor with AVX-512 or AMX",
        instead: "size stacks by AT_MINSIGSTKSZ",
        source: "sigaltstack(2) on AT_MINSIGSTKSZ, erlang/otp#11248, musl 1.2.6",
        ..X86
    },
];
