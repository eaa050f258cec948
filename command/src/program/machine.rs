//! Processors by name.

use std::fmt::{self, Display};

use object::elf::{
    EM_386, EM_AARCH64, EM_ARM, EM_IA_64, EM_LOONGARCH, EM_MIPS, EM_PPC, EM_PPC64, EM_RISCV,
    EM_S390, EM_SPARCV9, EM_X86_64,
};

/// The processor that an ELF file is for (`EM_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine(pub u16);

impl Machine {
    /// The one that this command and its library are for.
    pub const HERE: Self = Self(if cfg!(target_arch = "aarch64") {
        EM_AARCH64.0
    } else if cfg!(target_arch = "riscv64") {
        EM_RISCV.0
    } else {
        EM_X86_64.0
    });
}

impl Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match object::elf::Machine(self.0) {
            EM_386 => "x86",
            EM_X86_64 => "x86-64",
            EM_ARM => "ARM",
            EM_AARCH64 => "ARM64",
            EM_RISCV => "RISC-V",
            EM_PPC => "PowerPC",
            EM_PPC64 => "PowerPC64",
            EM_S390 => "S/390",
            EM_LOONGARCH => "LoongArch",
            EM_MIPS => "MIPS",
            EM_SPARCV9 => "SPARC64",
            EM_IA_64 => "Itanium",
            object::elf::Machine(other) => return write!(f, "machine {other} of ELF"),
        })
    }
}
