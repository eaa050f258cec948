//! Libcs, runtimes and programs.

use sigward::quirks::Confidence;

use super::KERNEL;
use crate::quirks::model::{
    Arch, Cpu, Cure, Harm, Layer, Musl, Need, Proof, Reach, Row, System, Trigger, Versions, Whom,
};

const MUSL: Row = Row {
    layer: Layer::Libc,
    versions: Versions::Every,
    trigger: Trigger::Size,
    whom: Whom::Programs("musl programs with small alternate stacks"),
    harm: Harm::Crash,
    ..KERNEL
};
const RUNTIME: Row =
    Row { layer: Layer::Runtime, system: System::Linux, versions: Versions::Every, ..KERNEL };

pub static ROWS: &[Row] = &[
    Row {
        id: "musl-126-refuses",
        needs: &[Need::Musl(Musl { from: (1, 2, 6), fixed: None })],
        cure: Cure::Room,
        reach: Reach::Cured("SIGWARD_SIZE=fix, for stacks of 2048 bytes and more"),
        proof: Proof::Pretended,
        summary: "sigaltstack fails with ENOMEM for a stack smaller than AT_MINSIGSTKSZ + 1024",
        instead: "size stacks by AT_MINSIGSTKSZ",
        source: "musl commit 300a1f53907a, HaxeFoundation/docker-library-haxe#14",
        ..MUSL
    },
    Row {
        id: "musl-disable-size",
        needs: &[Need::Musl(Musl { from: (1, 1, 19), fixed: Some((1, 1, 21)) })],
        cure: Cure::Disarm,
        harm: Harm::Slight,
        confidence: Confidence::Low,
        summary: "the size is checked even with SS_DISABLE, so threads cannot give their stack back",
        source: "dotnet/coreclr PR 18685",
        ..MUSL
    },
    Row {
        id: "musl-synccall-onstack",
        needs: &[Need::Musl(Musl { from: (1, 0, 0), fixed: Some((1, 2, 2)) })],
        trigger: Trigger::AnySignal,
        whom: Whom::Programs("musl programs with Go code that call setuid and the like"),
        harm: Harm::Data,
        confidence: Confidence::Low,
        summary: "libc's own signals are taken on tiny stacks, which overflow",
        source: "musl commit 2e5fff43dd7f, golang/go#39857",
        ..MUSL
    },
    Row {
        id: "musl-cancel-on-altstack",
        needs: &[Need::Musl(Musl { from: (1, 2, 2), fixed: None })],
        trigger: Trigger::AnySignal,
        whom: Whom::Programs("musl programs that cancel threads and free alternate stacks"),
        cure: Cure::Disarm,
        confidence: Confidence::Low,
        summary: "clean-up after a cancellation runs on the alternate stack, which it may free",
        source: "dankamongmen/notcurses#2828",
        ..MUSL
    },
    Row {
        id: "go-forces-onstack",
        trigger: Trigger::Size,
        whom: Whom::Programs("programs that load a Go library"),
        harm: Harm::Crash,
        cure: Cure::Room,
        reach: Reach::Reduced(
            "SIGWARD_SIZE=fix enlarges a stack that is too small for a frame; others, and \
             handlers that wait for ever, stay as they are",
        ),
        proof: Proof::Pretended,
        summary: "Go adds SA_ONSTACK to every handler that it finds: handlers not made for it \
                  overflow their stack, or wait for ever",
        instead: "install handlers with SA_ONSTACK yourself, on stacks with room for them",
        source: "golang/go#78883, dotnet/runtime#127320",
        ..RUNTIME
    },
    Row {
        id: "go-ymm-preempt",
        arches: &[Arch::X86_64],
        needs: &[Need::Cpu(Cpu::AvxOnly)],
        trigger: Trigger::AnySignal,
        whom: Whom::Programs("Go programs built before September 2026"),
        cure: Cure::Environment("GODEBUG=asyncpreemptoff=1"),
        reach: Reach::Cured("sigward run --env-cures, at the price of slower pauses"),
        proof: Proof::Pretended,
        confidence: Confidence::Medium,
        summary: "asynchronous preemption keeps only half of the YMM registers",
        instead: "rebuild with a newer Go",
        source: "golang/go#81209",
        ..RUNTIME
    },
    Row {
        id: "ccl-frame",
        arches: &[Arch::X86_64],
        trigger: Trigger::AnyReturn,
        whom: Whom::Programs("Clozure CL before July 2026"),
        summary: "it moves frames with their oldest part only: AVX state is reset at the return",
        source: "Clozure/ccl PR 556",
        ..RUNTIME
    },
    Row {
        id: "dangling-altstack",
        trigger: Trigger::AnySignal,
        whom: Whom::Programs("programs that unmap a stack that is still registered"),
        cure: Cure::Disarm,
        summary: "an alternate stack is unmapped while it is registered: the next frame is \
                  written over whatever came after it",
        source: "bytecodealliance/wasmtime#13857, rust-lang/rust#161018, ClickHouse PR 109734, \
                 dd-trace-py PR 19018",
        ..RUNTIME
    },
];
