//! The kernel that is judged: the running one, or another by its texts.

use clap::Args;
use sigward::os::kernel_texts;
use sigward::verdict::{CpuTraits, Step, Verdict};

use super::failure::Failure;
use crate::machine::Texts;
use crate::quirks::model::Arch;

/// Options that name another kernel than the running one.
#[derive(Args)]
pub struct KernelOptions {
    /// Judge another kernel: its release, or the text of its /proc/version
    #[arg(long, value_name = "STRING")]
    kernel: Option<String>,
    /// The processor that goes with --kernel, as `uname -m` names it [default: the one that the
    /// text names, or this machine's]
    #[arg(long, value_name = "ARCH", requires = "kernel")]
    arch: Option<String>,
    /// The contents of /proc/version_signature (Ubuntu) that go with --kernel
    #[arg(long, value_name = "TEXT", requires = "kernel")]
    version_signature: Option<String>,
}

impl KernelOptions {
    /// Whether it is another kernel than the running one.
    pub fn is_given(&self) -> bool {
        self.kernel.is_some()
    }

    /// The other kernel's texts and processor; `None` for the running one.
    pub fn elsewhere(&self) -> Result<Option<(Texts, Arch)>, Failure> {
        let Some(kernel) = &self.kernel else { return Ok(None) };
        let texts = Texts::parse(kernel, self.version_signature.as_deref());
        let arch = match &self.arch {
            Some(name) => Arch::named(name).ok_or_else(|| {
                Failure::new(format!("--arch {name}: not a processor that the table knows"))
                    .remedy("give it as `uname -m` does: x86_64, aarch64, riscv64, ppc64le, s390x")
            })?,
            None => Arch::named(&texts.machine)
                .or_else(|| Arch::named(std::env::consts::ARCH))
                .unwrap_or(Arch::Other),
        };
        Ok(Some((texts, arch)))
    }

    /// What the library's own judge says of it.
    pub fn judge(&self) -> Result<Verdict, Failure> {
        Ok(match self.elsewhere()? {
            Some((texts, arch)) => texts.verdict(arch.name(), CpuTraits::MODERN),
            None => kernel_texts::judge(),
        })
    }

    /// The steps that led to the verdict, in words.
    pub fn reasons(&self, verdict: &Verdict) -> Vec<String> {
        let words = |step: Step| match step {
            Step::CompilerUnknown if self.is_given() => {
                "the compiler is unknown: give the whole text of /proc/version".to_owned()
            }
            _ => step.to_string(),
        };
        verdict.argument.iter().map(words).collect()
    }
}
