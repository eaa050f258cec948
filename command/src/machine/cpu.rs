//! Features of this processor, and the marks of programs that play one.

use crate::machine::Holds;
use crate::quirks::model::Cpu;

/// What the processor says.
#[derive(Clone, Debug, Default)]
pub struct Features {
    present: Vec<Cpu>,
    pub marks: Marks,
}

/// How the processor, or what plays one, names itself.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// CPUID leaf 0.
    pub vendor: String,
    /// CPUID leaf 0x8000_0002: the first sixteen letters.
    pub brand: String,
    /// CPUID leaf 0x4000_0000.
    pub hypervisor: String,
    /// The file that the kernel runs, by a path that emulators do not translate.
    pub executable: String,
}

impl Features {
    /// Whether this processor has `cpu`. Features of another architecture are absent.
    pub fn has(&self, cpu: Cpu) -> Holds {
        self.present.contains(&cpu).into()
    }
}

#[cfg(target_arch = "x86_64")]
impl Features {
    /// By CPUID, and by arch_prctl where only the kernel knows.
    pub fn here() -> Self {
        use std::arch::x86_64::{__cpuid, __cpuid_count};

        use crate::quirks::model::Cpu as Kind;
        /// Whether the kernel knows user shadow stacks.
        const ARCH_SHSTK_STATUS: libc::c_ulong = 0x5005;
        let bytes = |registers: [u32; 3]| -> Vec<u8> {
            registers.iter().flat_map(|register| register.to_le_bytes()).collect()
        };
        let text = |bytes: Vec<u8>| {
            String::from_utf8_lossy(&bytes).trim_end_matches('\0').trim().to_owned()
        };
        let first = __cpuid(0);
        let basic = __cpuid(1);
        let has = |register: u32, bit: u32| register & (1 << bit) != 0;
        let mut present = Vec::new();
        let mut note = |kind, is: bool| {
            if is {
                present.push(kind);
            }
        };
        let mut features = Self::default();
        if first.eax >= 7 {
            let leaf = __cpuid_count(7, 0);
            let amx = has(leaf.edx, 24);
            let (avx, avx2) = (has(basic.ecx, 28), has(leaf.ebx, 5));
            note(Kind::AvxOnly, avx && !avx2);
            note(Kind::Avx512, has(leaf.ebx, 16) || amx);
            note(Kind::Amx, amx);
            // Bit 4: the kernel has switched them on.
            note(Kind::ProtectionKeys, has(leaf.ecx, 4));
            if has(leaf.ecx, 7) {
                let mut status = 0_u64;
                // SAFETY: writes one u64 if it succeeds.
                let asked = unsafe {
                    libc::syscall(libc::SYS_arch_prctl, ARCH_SHSTK_STATUS, &raw mut status)
                };
                note(Kind::ShadowStack, asked == 0);
            }
            if leaf.eax >= 1 {
                note(Kind::Fred, has(__cpuid_count(7, 1).eax, 17));
            }
        } else {
            note(Kind::AvxOnly, has(basic.ecx, 28));
        }
        features.present = present;
        // Sixteen letters are enough to know an emulator; CPUID is slow in a virtual machine.
        let brand = __cpuid(0x8000_0002);
        let brand = [bytes([brand.eax, brand.ebx, brand.ecx]), bytes([brand.edx, 0, 0])].concat();
        // Some emulators hide the bit that announces this leaf, and answer it all the same.
        let leaf = __cpuid(0x4000_0000);
        features.marks = Marks {
            vendor: text(bytes([first.ebx, first.edx, first.ecx])),
            brand: text(brand),
            hypervisor: text(bytes([leaf.ebx, leaf.ecx, leaf.edx])),
            executable: executable(),
        };
        features
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Features {
    /// By the auxiliary vector.
    pub fn here() -> Self {
        const BITS: &[(Cpu, bool, u32)] = if cfg!(target_arch = "aarch64") {
            &[
                (Cpu::Sve, false, 22),
                (Cpu::Gcs, false, 32),
                (Cpu::Sme, true, 23),
                (Cpu::Overlay, true, 63),
            ]
        } else if cfg!(target_arch = "riscv64") {
            &[(Cpu::Vector, false, 21)]
        } else if cfg!(target_arch = "powerpc64") {
            &[(Cpu::Transactions, true, 30)]
        } else {
            &[]
        };
        // SAFETY: plain queries.
        let words = unsafe { [libc::getauxval(libc::AT_HWCAP), libc::getauxval(libc::AT_HWCAP2)] };
        let is = |second: bool, bit: u32| words[usize::from(second)] as u64 >> bit & 1 != 0;
        let found = BITS.iter().filter(|(_, second, bit)| is(*second, *bit));
        let marks = Marks { executable: executable(), ..Marks::default() };
        Self { present: found.map(|(cpu, ..)| *cpu).collect(), marks }
    }
}

/// QEMU's user mode answers /proc/self/exe with the program's name, but not this.
fn executable() -> String {
    let path = std::fs::read_link("/proc/thread-self/exe").unwrap_or_default();
    path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned())
}
