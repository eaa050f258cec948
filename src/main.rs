//! The `sigward` command.
fn main() {}
