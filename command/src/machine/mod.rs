//! The machine that is judged: its kernel, processor, libc, and what may stand between.
//!
//! Looking at this machine takes one uname(2), a few small reads, and some CPUID.

mod cpu;
mod emulator;
mod kernel;
mod libc;

pub use cpu::Features;
pub use emulator::Emulator;
pub use kernel::{Kernel, Origin, Texts};

use std::cell::OnceCell;

use crate::quirks::model::{Arch, Musl, Need};

/// A machine.
pub struct Machine {
    pub kernel: Kernel,
    pub arch: Arch,
    pub emulator: Option<Emulator>,
    /// What can only be seen on the machine itself; `None` for another one.
    pub here: Option<Here>,
}

/// What can only be seen on the machine itself.
pub struct Here {
    pub features: Features,
    /// The version of musl that is installed.
    pub musl: Option<(u32, u32, u32)>,
    pub glibc: bool,
    /// The options of the kernel's build, where they can be read.
    config: OnceCell<Option<String>>,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Yes,
    No,
    /// Nothing says so.
    Open,
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

impl Machine {
    /// This one, and its kernel's texts.
    pub fn here() -> (Self, Texts) {
        let texts = Texts::of_this_kernel();
        let kernel = Kernel::new(&texts);
        let features = Features::here();
        let arch = Arch::named(&texts.machine).unwrap_or(Arch::Other);
        let emulator = emulator::by_texts(&texts).or_else(|| emulator::by_marks(&features.marks));
        let (musl, glibc) = libc::installed(std::path::Path::new("/"));
        let here = Here { features, musl, glibc, config: OnceCell::new() };
        (Self { kernel, arch, emulator, here: Some(here) }, texts)
    }

    /// Another one, of which only the kernel's texts are known.
    pub fn elsewhere(texts: &Texts, arch: Arch) -> Self {
        let emulator = emulator::by_texts(texts);
        Self { kernel: Kernel::new(texts), arch, emulator, here: None }
    }

    /// Whether a row's condition holds.
    pub fn meets(&self, need: &Need) -> Holds {
        match (need, &self.here) {
            (Need::Under(emulator), _) => (self.emulator == Some(*emulator)).into(),
            (Need::That(_), _) | (_, None) => Holds::Open,
            (Need::Cpu(cpu), Some(here)) => here.features.has(*cpu),
            (Need::Config(option), Some(here)) => {
                let read = || kernel::config(&self.kernel.release);
                here.config.get_or_init(read).as_ref().map_or(Holds::Open, |text| {
                    text.lines().any(|line| line == format!("{option}=y")).into()
                })
            }
            (Need::Musl(Musl { from, fixed }), Some(here)) => here
                .musl
                .is_some_and(|musl| musl >= *from && fixed.is_none_or(|fixed| musl < fixed))
                .into(),
        }
    }

    /// The libc of this machine, in words.
    pub fn libc(&self) -> String {
        let Some(here) = &self.here else { return String::new() };
        let musl = here.musl.map(|(a, b, c)| format!("musl {a}.{b}.{c}"));
        let glibc = here.glibc.then(|| "glibc".to_owned());
        [glibc, musl].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}
