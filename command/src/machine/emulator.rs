//! Programs that play a kernel or a processor: each is known by a mark of its own.
//!
//! What happens under one of them says nothing about a kernel, so nothing is concluded there.

use super::cpu::Marks;
use super::kernel::Texts;

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulator {
    Gvisor,
    Wsl1,
    Wsl2,
    Rosetta,
    Fex,
    QemuUser,
    Box64,
    Linuxulator,
}

impl Emulator {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gvisor => "gVisor",
            Self::Wsl1 => "WSL1",
            Self::Wsl2 => "WSL2",
            Self::Rosetta => "Rosetta",
            Self::Fex => "FEX",
            Self::QemuUser => "QEMU's user mode",
            Self::Box64 => "box64",
            Self::Linuxulator => "FreeBSD's Linux emulation",
        }
    }

    /// Whether a Linux kernel of the shown version and processor is below, so that the records
    /// concern it.
    pub const fn is_on_that_kernel(self) -> bool {
        matches!(self, Self::Wsl2)
    }
}

/// The mark in the kernel's texts, which another machine's texts show too.
pub fn by_texts(texts: &Texts) -> Option<Emulator> {
    let Texts { release, version, proc_version, .. } = texts;
    let proc_version = proc_version.as_deref().unwrap_or("");
    // A constant of its source; newer versions say so in the release too.
    let gvisor = version == "#1 SMP Sun Jan 10 15:06:54 PST 2016"
        || release.ends_with("-gvisor")
        || proc_version.contains("gVisor");
    if gvisor {
        Some(Emulator::Gvisor)
    } else if release.ends_with("-Microsoft") {
        Some(Emulator::Wsl1)
    } else if release.contains("microsoft-standard") || release.contains("-WSL2") {
        Some(Emulator::Wsl2)
    } else if version.starts_with("FreeBSD ") || proc_version.contains("(des@freebsd.org)") {
        Some(Emulator::Linuxulator)
    } else {
        None
    }
}

/// The mark in what plays the processor.
pub fn by_marks(marks: &Marks) -> Option<Emulator> {
    let Marks { vendor, brand, hypervisor, executable } = marks;
    if vendor.contains("VirtualApple") || brand.contains("VirtualApple") {
        Some(Emulator::Rosetta)
    } else if hypervisor == "FEXIFEXIEMU" {
        Some(Emulator::Fex)
    } else if brand.starts_with("Box64 on ") {
        Some(Emulator::Box64)
    } else if executable.starts_with("qemu-") {
        // CPUID does not tell: its signature is that of a whole emulated machine, whose kernel
        // is real.
        Some(Emulator::QemuUser)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(release: &str, version: &str, proc_version: Option<&str>) -> Texts {
        Texts {
            sysname: "Linux".to_owned(),
            release: release.to_owned(),
            version: version.to_owned(),
            machine: "x86_64".to_owned(),
            proc_version: proc_version.map(str::to_owned),
            version_signature: None,
        }
    }

    #[test]
    fn kernels_that_are_programs_are_known_by_their_texts() {
        let linuxulator = "Linux version 5.15.0 (des@freebsd.org) (gcc version 13) #4 Sun Dec 18";
        let windows = "Linux version 4.4.0-18362-Microsoft (Microsoft@Microsoft.com)";
        for (release, version, proc_version, found) in [
            ("4.4.0", "#1 SMP Sun Jan 10 15:06:54 PST 2016", None, Some(Emulator::Gvisor)),
            ("4.19.0-gvisor", "#1 SMP", None, Some(Emulator::Gvisor)),
            ("4.4.0-18362-Microsoft", "#1-Microsoft", Some(windows), Some(Emulator::Wsl1)),
            ("5.15.153.1-microsoft-standard-WSL2", "#1 SMP", None, Some(Emulator::Wsl2)),
            ("4.19.84-microsoft-standard", "#1 SMP", None, Some(Emulator::Wsl2)),
            ("5.15.0", "FreeBSD 14.1-RELEASE #0", None, Some(Emulator::Linuxulator)),
            ("5.15.0", "#4 Sun Dec 18", Some(linuxulator), Some(Emulator::Linuxulator)),
            ("4.4.0", "#1 SMP Mon Jan 11 15:06:54 PST 2016", None, None),
            ("6.18.44-fc-v669", "#1 SMP PREEMPT_DYNAMIC @0", None, None),
            ("5.15.0-1019-azure", "#24~20.04.1-Ubuntu SMP", None, None),
        ] {
            assert_eq!(by_texts(&texts(release, version, proc_version)), found, "{release}");
        }
    }

    #[test]
    fn processors_that_are_programs_are_known_by_their_marks() {
        let real = Marks {
            vendor: "GenuineIntel".to_owned(),
            brand: "Intel(R) Xeon(R) Processor".to_owned(),
            hypervisor: "KVMKVMKVM".to_owned(),
            executable: "sigward".to_owned(),
        };
        assert_eq!(by_marks(&real), None);
        // A whole emulated machine has a real kernel.
        let whole = Marks { hypervisor: "TCGTCGTCGTCG".to_owned(), ..real.clone() };
        assert_eq!(by_marks(&whole), None);
        let brand = |brand: &str| Marks { brand: brand.to_owned(), ..real.clone() };
        for (marks, found) in [
            (brand("VirtualApple @ 2.50GHz"), Emulator::Rosetta),
            (Marks { vendor: "VirtualApple".to_owned(), ..real.clone() }, Emulator::Rosetta),
            (brand("Box64 on Cortex-A76 @2.40 GHz"), Emulator::Box64),
            (Marks { hypervisor: "FEXIFEXIEMU".to_owned(), ..real.clone() }, Emulator::Fex),
            (Marks { executable: "qemu-x86_64".to_owned(), ..whole }, Emulator::QemuUser),
            (Marks { executable: "qemu-x86_64-static".to_owned(), ..real }, Emulator::QemuUser),
        ] {
            assert_eq!(by_marks(&marks), Some(found), "{marks:?}");
        }
    }
}
