//! Programs that play a kernel or a processor.

use sigward::quirks::Confidence;

use super::KERNEL;
use crate::machine::Emulator;
use crate::quirks::model::{
    Arch, Cure, Harm, Layer, Need, Proof, Reach, Row, Trigger, Versions, Whom,
};

const EMULATOR: Row = Row { layer: Layer::Emulator, versions: Versions::Every, ..KERNEL };
const GVISOR: Row = Row { needs: &[Need::Under(Emulator::Gvisor)], ..EMULATOR };
const FEX: Row = Row { needs: &[Need::Under(Emulator::Fex)], ..EMULATOR };

pub static ROWS: &[Row] = &[
    Row {
        id: "gvisor-sve",
        arches: &[Arch::Arm64],
        versions: Versions::Unknown,
        summary: "before October 2024 SVE state was not kept: system calls gave wrong results",
        source: "google/gvisor#10900",
        ..GVISOR
    },
    Row {
        id: "gvisor-trapno",
        trigger: Trigger::AnySignal,
        whom: Whom::Programs("programs that read trapno or err at SIGSEGV"),
        harm: Harm::Crash,
        cure: Cure::Registers,
        summary: "a frame for SIGSEGV has no trap number and no error code",
        source: "google/gvisor#11112",
        ..GVISOR
    },
    Row {
        id: "gvisor-si-code",
        versions: Versions::Unknown,
        trigger: Trigger::AnySignal,
        whom: Whom::Programs("programs that tell SEGV_ACCERR from SEGV_MAPERR"),
        summary: "until 2026, SIGSEGV for a forbidden access named an unmapped one",
        source: "google/gvisor#12518",
        ..GVISOR
    },
    Row {
        id: "fex-stale-return",
        trigger: Trigger::AnyReturn,
        cure: Cure::Room,
        summary: "the return from a handler leaves stale state: later frames are written over \
                  live stack",
        source: "FEX-Emu/FEX#5901",
        ..FEX
    },
    Row {
        id: "fex-rip",
        trigger: Trigger::AnyReturn,
        whom: Whom::Programs("programs whose handlers change the return address, as Go's do"),
        cure: Cure::Environment("GODEBUG=asyncpreemptoff=1"),
        reach: Reach::Reduced("sigward run --env-cures, for Go programs only"),
        proof: Proof::Pretended,
        confidence: Confidence::Medium,
        summary: "a handler that rewrites RIP corrupts the program's state",
        source: "FEX-Emu/FEX#5810",
        ..FEX
    },
    Row {
        id: "rosetta-signals",
        needs: &[Need::Under(Emulator::Rosetta)],
        trigger: Trigger::AnySignal,
        harm: Harm::Crash,
        summary: "programs die at random in its own assertions, whether or not they have a defect",
        instead: "use an image for arm64, or QEMU",
        source: "docker/roadmap#384, docker/for-mac#7220, orbstack#482",
        ..EMULATOR
    },
    Row {
        id: "elfuse-x8",
        needs: &[Need::That("this is elfuse")],
        trigger: Trigger::Restart,
        summary: "a return from a handler overwrites X8, so a restarted call becomes another one",
        source: "sysprog21/elfuse#379",
        ..EMULATOR
    },
    Row {
        id: "qemu-user-frames",
        needs: &[Need::Under(Emulator::QemuUser)],
        trigger: Trigger::AnySignal,
        harm: Harm::Crash,
        confidence: Confidence::Low,
        summary: "frames are written by the emulator, and programs that depend on them crash",
        source: "docker/desktop-feedback#382",
        ..EMULATOR
    },
    Row {
        id: "box64-x87",
        needs: &[Need::Under(Emulator::Box64)],
        versions: Versions::Unknown,
        trigger: Trigger::AnySignal,
        summary: "versions before October 2025 mix up x87 state in frames on LoongArch",
        source: "ptitSeb/box64 PR 3088",
        ..EMULATOR
    },
    Row {
        id: "wsl1-frames",
        needs: &[Need::Under(Emulator::Wsl1)],
        trigger: Trigger::AnySignal,
        harm: Harm::Slight,
        confidence: Confidence::Low,
        summary: "Windows plays the kernel and writes the frames: no record covers it",
        source: "uname -r ends in -Microsoft there",
        ..EMULATOR
    },
    Row {
        id: "wsl2-crashes",
        needs: &[Need::Under(Emulator::Wsl2)],
        trigger: Trigger::AnySignal,
        harm: Harm::Crash,
        confidence: Confidence::Low,
        summary: "a healthy control program crashed in a quarter of the rounds on one such host",
        source: "a soak test of a .NET project, 2026",
        ..EMULATOR
    },
    Row {
        id: "freebsd-linuxulator-fpu",
        needs: &[Need::Under(Emulator::Linuxulator)],
        versions: Versions::Unknown,
        trigger: Trigger::AnySignal,
        cure: Cure::Registers,
        confidence: Confidence::Medium,
        summary: "until about 2021, floating-point state was not kept over signals",
        source: "reviews.freebsd.org PHID-XACT-DREV-j6drh5vr52mvgjy",
        ..EMULATOR
    },
];
