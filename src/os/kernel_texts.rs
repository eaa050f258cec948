//! Reads the texts in which the running kernel describes itself.

use core::ffi::c_char;
use core::mem::MaybeUninit;

use super::call;
use crate::arch;
use crate::verdict::{self, CpuTraits, KernelTexts, Verdict};

/// How many bytes of a text in /proc are read; real texts have about 200.
const LONGEST: usize = 1024;

/// The verdict on the running kernel. If no range of affected versions matches,
/// it takes one uname(2). Only if one does, this reads /proc/version and
/// /proc/version_signature (no descriptor stays open) and asks the CPU (CPUID
/// is slow in a virtual machine). Async-signal-safe.
#[must_use]
pub fn judge() -> Verdict {
    // Not zeroed, like every buffer here: this runs in every exec.
    let mut name = MaybeUninit::uninit();
    let name = call::uname(&mut name).ok();
    let field =
        |which: fn(&libc::utsname) -> &[c_char]| name.map_or(&[][..], |name| text(which(name)));
    let texts = KernelTexts {
        sysname: field(|name| &name.sysname),
        release: field(|name| &name.release),
        version: field(|name| &name.version),
        machine: field(|name| &name.machine),
        proc_version: None,
        version_signature: None,
        cpu: CpuTraits::MODERN,
    };
    if verdict::needs_proc(texts.release) {
        judge_closely(texts)
    } else {
        verdict::judge_running(&texts)
    }
}

/// The verdict if a range matches.
#[cold]
#[inline(never)] // for the stack: two buffers
fn judge_closely(texts: KernelTexts<'_>) -> Verdict {
    let (mut version, mut signature) = ([0; LONGEST], [0; LONGEST]);
    let mut texts = texts; // no longer than the buffers live
    texts.proc_version = call::read_file(c"/proc/version", &mut version).ok();
    texts.version_signature = call::read_file(c"/proc/version_signature", &mut signature).ok();
    texts.cpu = cpu();
    verdict::judge_running(&texts)
}

/// The bytes of a field before its NUL.
fn text(field: &[c_char]) -> &[u8] {
    let length = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    // SAFETY: `length` bytes of the same field; c_char and u8 have the same
    // layout.
    unsafe { core::slice::from_raw_parts(field.as_ptr().cast(), length) }
}

/// The traits of the processor.
fn cpu() -> CpuTraits {
    let arch::Features { xsave, avx } = arch::features();
    CpuTraits { x86_64: arch::IS_X86_64, xsave, avx }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Elsewhere the version does not matter.
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    #[test]
    fn the_running_kernel_is_named_in_its_verdict() {
        let verdict = judge();
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let (version, _) = verdict.upstream.expect("a Linux kernel has a version");
        let start = format!("{}.{}.", version.major, version.minor);
        assert!(release.starts_with(&start), "{release} does not start with {start}");
    }

    #[test]
    fn a_field_without_nul_is_taken_whole() {
        assert_eq!(text(&[65; 4]), b"AAAA");
        assert_eq!(text(&[65, 0, 65, 0]), b"A");
    }
}
