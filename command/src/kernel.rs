//! The kernel that is judged: the running one, or another by its texts.

use clap::Args;
use sigward::os::kernel_texts;
use sigward::verdict::{CpuTraits, KernelTexts, Step, Verdict, judge};

/// Options that name another kernel than the running one.
#[derive(Args)]
pub struct KernelOptions {
    /// Judge this `uname -r` instead of the running kernel
    #[arg(long, value_name = "TEXT")]
    release: Option<String>,
    /// The `uname -v` that goes with --release
    #[arg(long, value_name = "TEXT", requires = "release")]
    version_text: Option<String>,
    /// The contents of /proc/version that go with --release
    #[arg(long, value_name = "TEXT", requires = "release")]
    proc_version: Option<String>,
    /// The contents of /proc/version_signature that go with --release
    #[arg(long, value_name = "TEXT", requires = "release")]
    version_signature: Option<String>,
    /// The `uname -m` that goes with --release
    #[arg(long, value_name = "TEXT", requires = "release", default_value = "x86_64")]
    machine: String,
    /// The `uname -s` that goes with --release
    #[arg(long, value_name = "TEXT", requires = "release", default_value = "Linux")]
    sysname: String,
}

impl KernelOptions {
    /// Whether it is another kernel than the running one.
    pub fn is_given(&self) -> bool {
        self.release.is_some()
    }

    /// The verdict on it.
    pub fn judge(&self) -> Verdict {
        let Some(release) = &self.release else { return kernel_texts::judge() };
        judge(&KernelTexts {
            sysname: self.sysname.as_bytes(),
            release: release.as_bytes(),
            version: self.version_text.as_deref().unwrap_or("").as_bytes(),
            machine: self.machine.as_bytes(),
            proc_version: self.proc_version.as_deref().map(str::as_bytes),
            version_signature: self.version_signature.as_deref().map(str::as_bytes),
            cpu: CpuTraits::MODERN,
        })
    }

    /// The steps that led to the verdict, in words.
    pub fn reasons(&self, verdict: &Verdict) -> Vec<String> {
        let unread = self.is_given() && self.proc_version.is_none();
        let words = |step: Step| match step {
            Step::CompilerUnknown if unread => {
                "the compiler is unknown: give --proc-version".to_owned()
            }
            _ => step.to_string(),
        };
        verdict.argument.iter().map(words).collect()
    }
}
