//! The boots of the virtual machine: kernel, CPU and settings.

/// One boot of the virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Its name on the command line and in its log file's name.
    pub name: &'static str,
    /// Its name in the report.
    pub heading: &'static str,
    /// The kernel: a file of `config/` without the suffix.
    pub kernel: &'static str,
    /// Whether the kernel is built from the user's source, unpatched: it has the defect
    /// itself, but no switches and no counters.
    pub genuine: bool,
    /// Added to the kernel's command line.
    pub append: &'static str,
    /// Added to QEMU's command line.
    pub qemu: &'static [&'static str],
}

/// Without kernel preemption, where residency is the whole cure.
pub const NO_PREEMPT: Boot = Boot {
    name: "no-preempt",
    heading: "Kernel without preemption",
    kernel: "no-preempt",
    genuine: false,
    append: "",
    qemu: &[],
};
/// With preemption, where user space can only lower the rate.
pub const PREEMPT: Boot = Boot {
    name: "preempt",
    heading: "Kernel with preemption, and without `int $0x80`",
    kernel: "preempt",
    ..NO_PREEMPT
};
/// QEMU ends its translation block after each instruction, so that a signal can arrive
/// between any two.
pub const SINGLESTEP: Boot = Boot {
    name: "singlestep",
    heading: "Kernel without preemption, signals between any two instructions",
    qemu: &["-singlestep"],
    ..NO_PREEMPT
};
/// The kernel refuses alternate stacks that are too small for today's frame. (The setting
/// is documented as `strict_sas_size=`, but 6.1 does not skip the `=`.)
pub const STRICT_SIZE: Boot = Boot {
    name: "strict-size",
    heading: "Kernel that refuses small alternate stacks",
    append: "strict_sas_size1",
    ..NO_PREEMPT
};
/// A CPU from the time of the affected kernels: no AVX-512, no protection keys, no MPX.
/// Its frames are the smallest of all.
pub const AVX2: Boot = Boot {
    name: "avx2",
    heading: "CPU with AVX2 and nothing later",
    qemu: &["-cpu", "max,pku=off,mpx=off"],
    ..NO_PREEMPT
};
/// The user's kernel without preemption.
pub const GENUINE: Boot =
    Boot { name: "genuine-no-preempt", heading: "without preemption", genuine: true, ..NO_PREEMPT };
/// The user's kernel with preemption.
pub const GENUINE_PREEMPT: Boot =
    Boot { name: "genuine-preempt", heading: "with preemption", genuine: true, ..PREEMPT };
/// The user's kernel without preemption, single-stepped like [`SINGLESTEP`].
pub const GENUINE_SINGLESTEP: Boot = Boot {
    name: "genuine-singlestep",
    heading: "without preemption, signals between any two instructions",
    qemu: SINGLESTEP.qemu,
    ..GENUINE
};

/// All boots, in the order in which they run.
pub const BOOTS: [Boot; 8] = [
    NO_PREEMPT,
    PREEMPT,
    SINGLESTEP,
    STRICT_SIZE,
    AVX2,
    GENUINE,
    GENUINE_PREEMPT,
    GENUINE_SINGLESTEP,
];

impl Boot {
    /// Whether the kernel can lose registers without a fault.
    pub fn preempts(&self) -> bool {
        self.kernel == PREEMPT.kernel
    }
}
