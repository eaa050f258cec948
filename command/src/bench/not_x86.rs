//! The ways into the kernel that only x86 has, elsewhere.

use std::ffi::c_int;

use super::child::{Effort, Outcome};

fn missing() -> Outcome {
    Err("only x86 has it".to_owned())
}

pub fn int80(_: Effort, _: c_int) -> Outcome {
    missing()
}

pub fn vsyscall(_: Effort) -> Outcome {
    missing()
}

pub fn sysenter(_: Effort) -> Outcome {
    missing()
}

pub fn vdso32(_: Effort) -> Outcome {
    missing()
}
