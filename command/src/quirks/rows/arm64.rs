//! Linux on arm64.

use sigward::quirks::Confidence;

use super::KERNEL;
use crate::quirks::model::{
    Arch, Cpu, Cure, Harm, Need, Proof, Reach, Row, Trigger, Versions, Whom,
};
use crate::quirks::ranges::{Ranges, v};

const ARM64: Row = Row { arches: &[Arch::Arm64], ..KERNEL };
const SME: Row = Row { needs: &[Need::Cpu(Cpu::Sme)], ..ARM64 };

pub static ROWS: &[Row] = &[
    Row {
        id: "kvm-host-sve",
        needs: &[Need::Cpu(Cpu::Sve), Need::That("it runs virtual machines with KVM")],
        versions: Versions::Record("CVE-2025-22013"),
        summary: "a process that runs a virtual machine loses its own SVE registers",
        ..ARM64
    },
    Row {
        id: "arm64-sme-za-null",
        versions: Versions::Record("CVE-2026-23107"),
        trigger: Trigger::CraftedFrame,
        whom: Whom::FrameMakers,
        harm: Harm::Crash,
        summary: "restoring ZA in a task that never used SME crashes the kernel",
        ..SME
    },
    Row {
        id: "arm64-sve-restore",
        versions: Versions::Record("CVE-2026-23102"),
        trigger: Trigger::CraftedFrame,
        whom: Whom::FrameMakers,
        harm: Harm::Crash,
        summary: "restoring a streaming SVE frame that was changed or came from another task \
                  leaves the task in an invalid state, and kills it later",
        ..SME
    },
    Row {
        id: "arm64-sve-trap-race",
        needs: &[Need::Cpu(Cpu::Sve)],
        versions: Versions::Record("CVE-2024-50275"),
        summary: "a task that is preempted at its first SVE instruction may keep stale registers",
        ..ARM64
    },
    Row {
        id: "arm64-sme-trap-race",
        versions: Versions::Record("CVE-2025-38170"),
        summary: "a task that is preempted at its first SME instruction may keep stale registers",
        ..SME
    },
    Row {
        id: "arm64-sme-alloc",
        versions: Versions::Record("CVE-2024-26618"),
        summary: "SME state is allocated twice: it is corrupted, and memory leaks",
        ..SME
    },
    Row {
        id: "arm64-sme-vl",
        versions: Versions::Record("CVE-2023-53184"),
        summary: "a changed vector length gets a buffer of the old one",
        ..SME
    },
    Row {
        id: "arm64-sme-ffr",
        versions: Versions::Record("CVE-2023-53713"),
        summary: "the first-fault register is cleared beyond its field, or not at all",
        ..SME
    },
    Row {
        id: "arm64-tif-sve",
        needs: &[Need::Cpu(Cpu::Sve)],
        versions: Versions::Inferred(&Ranges {
            since: Some(v(6, 7, 0)),
            mainline: Some(v(6, 8, 0)),
            ..Ranges::NONE
        }),
        trigger: Trigger::AnySignal,
        confidence: Confidence::Medium,
        summary: "a signal after a system call gets a frame of the wrong format",
        source: "61da7c8e2a60",
        ..ARM64
    },
    Row {
        id: "arm64-fpsimd-signal",
        versions: Versions::Inferred(&Ranges {
            since: Some(v(5, 19, 0)),
            mainline: Some(v(6, 16, 0)),
            ..Ranges::NONE
        }),
        trigger: Trigger::AnySignal,
        confidence: Confidence::Medium,
        summary: "signal code that is preempted uses another task's mode register or stale vectors",
        source: "929fa99b1215, c94f2f326146, 99560c9452bb, 1bf663a86a45",
        ..SME
    },
    Row {
        id: "arm64-tpidr2",
        versions: Versions::Inferred(&Ranges {
            since: Some(v(5, 19, 0)),
            mainline: Some(v(6, 16, 0)),
            ..Ranges::NONE
        }),
        trigger: Trigger::AnySignal,
        whom: Whom::Programs("programs that throw exceptions through a signal handler"),
        cure: Cure::Registers,
        summary: "TPIDR2 is not cleared for a handler: ZA is saved lazily to the wrong place when \
                  an exception unwinds",
        source: "b376108e1f88",
        ..SME
    },
    Row {
        id: "arm64-poe-altstack",
        needs: &[Need::Cpu(Cpu::Overlay)],
        versions: Versions::Inferred(&Ranges {
            since: Some(v(6, 12, 0)),
            mainline: Some(v(6, 12, 0)),
            ..Ranges::NONE
        }),
        trigger: Trigger::AnySignal,
        whom: Whom::Programs("programs whose alternate stack has a protection key"),
        harm: Harm::Crash,
        cure: Cure::Room,
        confidence: Confidence::Medium,
        summary: "the frame is written under the program's own overlay permissions, which may \
                  forbid it",
        source: "2e8a1acea859",
        ..ARM64
    },
    Row {
        id: "arm64-poe-garbage",
        needs: &[Need::Cpu(Cpu::Overlay)],
        versions: Versions::Inferred(&Ranges {
            since: Some(v(6, 12, 0)),
            somewhere: &[(6, 18)],
            ..Ranges::NONE
        }),
        trigger: Trigger::CraftedFrame,
        whom: Whom::FrameMakers,
        summary: "a frame without an overlay record loads the kernel's stack contents into the \
                  permission register",
        source: "030e8a40fff6",
        ..ARM64
    },
    Row {
        id: "arm64-gcs-lpa2",
        needs: &[Need::Cpu(Cpu::Gcs), Need::That("it uses 52-bit addresses (LPA2)")],
        versions: Versions::Record("CVE-2026-23345"),
        whom: Whom::Programs("programs that run with a guarded control stack"),
        harm: Harm::Crash,
        cure: Cure::Environment("GLIBC_TUNABLES=glibc.cpu.aarch64_gcs=0"),
        summary: "mapping a guarded control stack panics the kernel",
        instead: "leave guarded control stacks off (glibc's default)",
        ..ARM64
    },
    Row {
        id: "arm64-gcs-error",
        needs: &[Need::Cpu(Cpu::Gcs)],
        versions: Versions::Record("CVE-2026-45876"),
        whom: Whom::Programs("programs that run with a guarded control stack"),
        harm: Harm::Crash,
        cure: Cure::Environment("GLIBC_TUNABLES=glibc.cpu.aarch64_gcs=0"),
        summary: "a failure to allocate a guarded control stack is taken for its address",
        instead: "leave guarded control stacks off (glibc's default)",
        ..ARM64
    },
    Row {
        id: "arm64-altstack",
        needs: &[Need::Cpu(Cpu::Sve)],
        versions: Versions::Every,
        trigger: Trigger::Size,
        whom: Whom::Programs("programs with alternate stacks of the old constant size"),
        harm: Harm::Crash,
        cure: Cure::Room,
        reach: Reach::Cured("SIGWARD_SIZE=fix"),
        proof: Proof::Shown,
        summary: "an alternate stack of the old constant size is too small for a frame with long \
                  vectors",
        instead: "size stacks by AT_MINSIGSTKSZ",
        source: "libunwind/libunwind#935, 94b07c1f8c39",
        ..ARM64
    },
];
