//! The running kernel's texts.

use std::os::unix::ffi::OsStrExt;

use nix::sys::utsname::{UtsName, uname};
use sigward::verdict::{CpuTraits, KernelTexts, Verdict, judge};

use super::failure::Failure;

/// Texts that outlive the borrow of a [`KernelTexts`].
pub struct RunningKernel {
    uname: UtsName,
    proc_version: Option<Vec<u8>>,
    version_signature: Option<Vec<u8>>,
}

impl RunningKernel {
    /// Reads `uname`, `/proc/version` and `/proc/version_signature`.
    pub fn read() -> Result<Self, Failure> {
        let uname = uname().map_err(|error| Failure::new(format!("uname failed: {error}")))?;
        Ok(Self {
            uname,
            proc_version: std::fs::read("/proc/version").ok(),
            version_signature: std::fs::read("/proc/version_signature").ok(),
        })
    }

    pub fn texts(&self) -> KernelTexts<'_> {
        KernelTexts {
            sysname: self.uname.sysname().as_bytes(),
            release: self.uname.release().as_bytes(),
            version: self.uname.version().as_bytes(),
            machine: self.uname.machine().as_bytes(),
            proc_version: self.proc_version.as_deref(),
            version_signature: self.version_signature.as_deref(),
            cpu: this_cpu(),
        }
    }

    pub fn verdict(&self) -> Verdict {
        judge(&self.texts())
    }
}

#[cfg(target_arch = "x86_64")]
fn this_cpu() -> CpuTraits {
    CpuTraits {
        x86_64: true,
        xsave: is_x86_feature_detected!("xsave"),
        avx: is_x86_feature_detected!("avx"),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn this_cpu() -> CpuTraits {
    CpuTraits { x86_64: false, xsave: false, avx: false }
}
