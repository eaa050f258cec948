//! Linux on every processor, and on those without a file of their own.

use sigward::quirks::{Confidence, STACK_BOUNDS};

use super::KERNEL;
use crate::quirks::model::{
    Arch, Cpu, Cure, Harm, Layer, Need, Proof, Reach, Row, Trigger, Versions, Whom,
};
use crate::quirks::ranges::{Ranges, v};

const RISCV: Row = Row { arches: &[Arch::Riscv64], ..KERNEL };

/// The frame size that riscv64 tells is wrong in these.
const RISCV_SIZE: Versions = Versions::Inferred(&Ranges {
    since: Some(v(6, 5, 0)),
    mainline: Some(v(6, 14, 0)),
    somewhere: &[(6, 6), (6, 12)],
    ..Ranges::NONE
});

pub static ROWS: &[Row] = &[
    Row {
        id: "signal-stop-exec",
        versions: Versions::Record("CVE-2026-53352"),
        harm: Harm::Slight,
        summary: "a stop signal that races with exec leaves a stop pending: a kernel warning, an \
                  odd stop",
        ..KERNEL
    },
    Row {
        id: "sigpending-limit",
        versions: Versions::Record("CVE-2024-50271"),
        trigger: Trigger::AnySignal,
        harm: Harm::Crash,
        cure: Cure::Limit,
        reach: Reach::Reduced(
            "sigward run raises RLIMIT_SIGPENDING to the hard limit; another process of the same \
             user can still use it up",
        ),
        proof: Proof::Pretended,
        summary: "at RLIMIT_SIGPENDING even SIGSEGV arrives without its address, and runtimes that \
                  need it crash",
        instead: "raise the hard limit of pending signals (ulimit -i)",
        ..KERNEL
    },
    Row {
        id: STACK_BOUNDS.id,
        layer: Layer::Runtime,
        versions: Versions::Every,
        trigger: Trigger::Size,
        whom: Whom::Programs("runtimes that guess a stack's size"),
        harm: Harm::Crash,
        reach: Reach::Cured("sigward takes bounds from the thread itself, and guesses none"),
        proof: Proof::Pretended,
        summary: "a guard computed from an assumed stack size crashes programs that use more of it",
        source: "Go commit fbfed491, golang/go#1328",
        ..KERNEL
    },
    Row {
        id: "riscv-minsigstksz",
        needs: &[Need::Cpu(Cpu::Vector)],
        versions: RISCV_SIZE,
        trigger: Trigger::Size,
        whom: Whom::Programs("programs that size their stacks by AT_MINSIGSTKSZ"),
        harm: Harm::Crash,
        cure: Cure::TrueSize,
        reach: Reach::Cured("SIGWARD_SIZE=auto or fix, for alternate stacks"),
        proof: Proof::Pretended,
        summary: "the kernel tells a frame size without room for the vector registers",
        instead: "give handlers much more room than AT_MINSIGSTKSZ",
        source: "e92f469b0771, fixed by 564fc8eb6f78; ruyisdk/linux-xuantie-kernel PR 243",
        ..RISCV
    },
    Row {
        id: "riscv-auxv-length",
        versions: RISCV_SIZE,
        trigger: Trigger::Size,
        whom: Whom::Programs("programs that size their stacks by AT_MINSIGSTKSZ"),
        harm: Harm::Slight,
        cure: Cure::TrueSize,
        summary: "the auxiliary vector may be cut, so that AT_MINSIGSTKSZ is missing",
        source: "fixed by 13dddf931980",
        ..RISCV
    },
    Row {
        id: "riscv-sas-check",
        needs: &[Need::Cpu(Cpu::Vector)],
        versions: Versions::Inferred(&Ranges {
            since: Some(v(6, 5, 0)),
            mainline: Some(v(6, 6, 0)),
            somewhere: &[(6, 5)],
            ..Ranges::NONE
        }),
        trigger: Trigger::Size,
        whom: Whom::Programs("programs with small alternate stacks"),
        harm: Harm::Crash,
        cure: Cure::TrueSize,
        confidence: Confidence::Low,
        summary: "the kernel checks alternate stacks against the wrong size",
        source: "14a270bfab7a",
        ..RISCV
    },
    Row {
        id: "riscv-v-sigreturn",
        needs: &[Need::Cpu(Cpu::Vector)],
        versions: Versions::Record("CVE-2024-35873"),
        trigger: Trigger::AnyReturn,
        summary: "vector registers are wrong after every handler",
        instead: "run programs built without vector code",
        ..RISCV
    },
    Row {
        id: "riscv-xtheadvector",
        needs: &[Need::That("the CPU has T-Head's vector extension")],
        versions: Versions::Record("CVE-2025-38435"),
        trigger: Trigger::AnySignal,
        summary: "registers v8 to v31 are lost whenever the vector state is saved",
        ..RISCV
    },
    Row {
        id: "riscv-compat-regs",
        needs: &[Need::Config("CONFIG_COMPAT")],
        versions: Versions::Record("CVE-2026-64082"),
        trigger: Trigger::FaultInFrame,
        whom: Whom::Programs("32-bit programs"),
        cure: Cure::ResidentStacks,
        summary: "a 32-bit task whose frame cannot be read gets garbage in its registers",
        ..RISCV
    },
    Row {
        id: "ppc64-minsig",
        arches: &[Arch::Powerpc64],
        versions: Versions::Inferred(&Ranges {
            since: Some(v(2, 6, 0)),
            mainline: Some(v(5, 18, 0)),
            ..Ranges::NONE
        }),
        trigger: Trigger::Size,
        whom: Whom::Programs("programs with alternate stacks of the old constant size"),
        harm: Harm::Crash,
        cure: Cure::Room,
        summary: "the constants for stack sizes are too small for VSX and transactional state, and \
                  the kernel tells no size",
        source: "2f82ec19757f, 2896b2dff49d",
        ..KERNEL
    },
    Row {
        id: "ppc-tm-r13",
        arches: &[Arch::Powerpc64],
        needs: &[Need::Cpu(Cpu::Transactions)],
        versions: Versions::Record("CVE-2022-49164"),
        summary: "a user's r13 is replaced, very rarely",
        ..KERNEL
    },
    Row {
        id: "parisc-sigfpe",
        arches: &[Arch::Parisc],
        versions: Versions::Record("CVE-2025-37991"),
        trigger: Trigger::AnySignal,
        whom: Whom::Programs("programs with a SIGFPE handler"),
        harm: Harm::Crash,
        cure: Cure::Environment("LD_BIND_NOW=1"),
        summary: "a second SIGFPE strikes at the handler's first floating-point store, which lazy \
                  binding may be",
        ..KERNEL
    },
    Row {
        id: "s390-do-signal",
        arches: &[Arch::S390x],
        versions: Versions::Inferred(&Ranges {
            since: Some(v(2, 6, 0)),
            mainline: Some(v(6, 2, 0)),
            somewhere: &[(4, 14), (4, 19), (5, 4), (5, 10), (5, 15), (6, 1)],
            ..Ranges::NONE
        }),
        trigger: Trigger::AnySignal,
        harm: Harm::Crash,
        confidence: Confidence::Low,
        summary: "the delivery of a signal may loop for ever",
        source: "a stable fix of February 2023",
        ..KERNEL
    },
    Row {
        id: "s390-fpc",
        arches: &[Arch::S390x],
        versions: Versions::Record("CVE-2024-43865"),
        trigger: Trigger::CraftedFrame,
        whom: Whom::FrameMakers,
        harm: Harm::Crash,
        summary: "an invalid floating-point control word from user space faults in the kernel",
        ..KERNEL
    },
    Row {
        id: "mips-restart-r2",
        arches: &[Arch::Mips],
        versions: Versions::Sourced(&Ranges {
            since: Some(v(2, 6, 0)),
            mainline: Some(v(2, 6, 36)),
            ..Ranges::NONE
        }),
        trigger: Trigger::Restart,
        cure: Cure::NoRestart,
        summary: "a restarted system call loses r2",
        source: "the MIPS signal code before 2.6.36",
        ..KERNEL
    },
];
