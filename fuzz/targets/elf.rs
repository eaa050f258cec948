//! Whatever a file contains, the command says what it is, or what is wrong with it.
#![no_main]
// The command is no library: some of what these files offer is not used here.
#![allow(dead_code)]

use std::fs::File;
use std::io::Write;

use libfuzzer_sys::fuzz_target;
use nix::sys::memfd::{MFdFlags, memfd_create};

#[path = "../../command/src/image.rs"]
mod image;
#[path = "../../command/src/program/loader.rs"]
mod loader;

#[path = "../../command/src/inspect"]
mod inspect {
    pub mod direct_calls;
    pub mod elf;
    pub mod go;
}

fuzz_target!(|data: &[u8]| {
    let mut file = File::from(memfd_create(c"program", MFdFlags::empty()).expect("a file"));
    file.write_all(data).expect("a file");
    loader::is_loader(data);
    let copy = || file.try_clone().expect("a descriptor");
    if let Ok(elf) = inspect::elf::Elf::read(copy()) {
        inspect::go::version(&copy(), &elf.data);
        inspect::direct_calls::find(&copy(), &elf.code);
    }
});
