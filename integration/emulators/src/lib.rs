//! What both supervisors need of ptrace.

pub mod kernel;
