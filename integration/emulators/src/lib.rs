//! What both emulators need from ptrace.

pub mod kernel;
