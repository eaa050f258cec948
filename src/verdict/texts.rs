//! What a kernel says about itself.

/// What the processor supports, from CPUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTraits {
    /// A 64-bit x86 process.
    pub x86_64: bool,
    /// XSAVE is present and enabled by the kernel.
    pub xsave: bool,
    /// AVX is present and enabled by the kernel.
    pub avx: bool,
}

impl CpuTraits {
    /// A current x86-64 processor: the cautious assumption about another
    /// machine.
    pub const MODERN: Self = Self { x86_64: true, xsave: true, avx: true };
}

/// The texts with which a kernel describes itself.
#[derive(Clone, Copy, Debug)]
pub struct KernelTexts<'a> {
    /// `uname -s`.
    pub sysname: &'a [u8],
    /// `uname -r`.
    pub release: &'a [u8],
    /// `uname -v`.
    pub version: &'a [u8],
    /// `uname -m`.
    pub machine: &'a [u8],
    /// `/proc/version`, if it was read.
    pub proc_version: Option<&'a [u8]>,
    /// `/proc/version_signature` (Ubuntu), if it exists.
    pub version_signature: Option<&'a [u8]>,
    /// The processor.
    pub cpu: CpuTraits,
}
