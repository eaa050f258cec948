//! The library for 64-bit RISC-V, under an emulator of that processor's user mode. Its frames have
//! no vector registers, so it shows the size that is computed and what follows from it, but no
//! frame that does not fit: that is for real kernels.

use std::sync::LazyLock;

use sigward_harness::emulated::Emulated;
use sigward_harness::programs::{Libc, build, build_with};

/// See `tests/arm64.rs`.
const NOT_EMULATED: &[&str] = &["autodisarm", "limit_raised", "small_under_filter"];

/// It waits for a mapping below another. The emulator maps upwards.
const ENDLESS: &[&str] = &["below_a_stack"];

/// Vector registers of 128 bytes.
const LONG: &str = "rv64,v=true,vlen=1024,vext_spec=v1.0";

static RISCV64: LazyLock<Option<Emulated>> = LazyLock::new(|| Emulated::new(Libc::Riscv64, LONG));

#[test]
fn a_program_sees_no_difference() {
    let Some(riscv64) = &*RISCV64 else { return };
    riscv64.assert_no_difference(NOT_EMULATED, ENDLESS);
}

/// The kernel says no size here, as old ones do. 1,088 bytes without vectors.
#[test]
fn the_frame_is_computed_from_the_length_of_the_vectors() {
    let Some(riscv64) = &*RISCV64 else { return };
    let program = build("altstack_mmap", Libc::Riscv64).unwrap();
    for (cpu, bytes) in
        [("rv64", 1088), ("rv64,v=true,vlen=128,vext_spec=v1.0", 1664), (LONG, 5248)]
    {
        let said = riscv64.on(cpu).with(&program, "on", &[("SIGWARD_LOG", "info")]);
        let said = said.output().unwrap();
        assert!(said.success(), "{said:?}");
        assert!(said.stderr.contains(&format!("signal frame: {bytes} bytes")), "{cpu}: {said:?}");
    }
}

/// Defect `riscv-minsigstksz`, pretended: without vectors the kernel's word counts, with them not.
#[test]
fn a_size_without_vectors_is_not_believed() {
    let Some(riscv64) = &*RISCV64 else { return };
    let program = build_with("long_vectors", Libc::Riscv64, &[]).unwrap();
    let tells_less = build("libtells_less", Libc::Riscv64).unwrap();
    let both = format!("{} {}", riscv64.library().display(), tells_less.display());
    for (cpu, bytes) in [("rv64", 1104), (LONG, 5248)] {
        let quick = build("altstack_mmap", Libc::Riscv64).unwrap();
        let more = [("LD_PRELOAD", &*both), ("SIGWARD_LOG", "info")];
        let said = riscv64.on(cpu).with(&quick, "on", &more).output().unwrap();
        assert!(said.stderr.contains(&format!("signal frame: {bytes} bytes")), "{cpu}: {said:?}");
    }
    let lives = riscv64.with(&program, "auto", &[("LD_PRELOAD", &both)]).arg("4096");
    let lives = lives.output().unwrap();
    assert!(lives.stdout.ends_with("on its own stack: 0\n"), "{lives:?}");
}

/// On a stack of 4 KiB, which is enough without vectors.
#[test]
fn only_a_stack_that_is_too_small_for_long_vectors_is_replaced() {
    let Some(riscv64) = &*RISCV64 else { return };
    let program = build_with("long_vectors", Libc::Riscv64, &[]).unwrap();
    let short = riscv64.on("rv64,v=true,vlen=128,vext_spec=v1.0");
    for mode in ["on", "auto"] {
        for (emulated, size, own) in
            [(riscv64, "4096", 0), (riscv64, "8192", 1), (&short, "4096", 1)]
        {
            let lives = emulated.with(&program, mode, &[]).arg(size).output().unwrap();
            assert!(lives.success(), "{mode}, {size}: {lives:?}");
            let wanted = format!("on its own stack: {own}\n");
            assert!(lives.stdout.ends_with(&wanted), "{mode}, {size}: {lives:?}");
        }
    }
}

#[test]
fn waits_are_libcs_own_and_a_wish_for_others_is_answered() {
    let Some(riscv64) = &*RISCV64 else { return };
    riscv64.assert_waits_are_libcs_own();
}
