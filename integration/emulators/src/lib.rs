//! What both emulators need of ptrace.

pub mod kernel;
