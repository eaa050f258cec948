//! Link arguments of `libsigward.so`, and the `cfg` by which a test breaks its link.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rustc-check-cfg=cfg(sigward_plant, values(\"panic\", \"stray\"))");
    println!("cargo::rerun-if-changed=build.rs");
    for arg in [
        // No start files and no libraries: one file for every libc, old and new.
        "-nostdlib",
        "-nostartfiles",
        // An undefined name that is not weak must fail the link, not the program.
        "-Wl,-z,defs",
        // FreeBSD's rtld before 9.1 reads DT_HASH only.
        "-Wl,--hash-style=both",
        "-Wl,-soname,libsigward.so",
        "-Wl,--gc-sections",
        "-Wl,-z,noexecstack",
        // Fork handlers and a key's destructor point into it.
        "-Wl,-z,nodelete",
        // Not in the profile alone: rustc leaves the symbol table in a cdylib.
        "-Wl,--strip-all",
    ] {
        println!("cargo::rustc-cdylib-link-arg={arg}");
    }

    // Without its feature `std` the crate `libc` asks for these by name, which `-nostdlib` does
    // not take back: a stray name would then be found there, and the library need that libc.
    // Ours are found first, and are empty.
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for library in ["c", "m", "rt", "pthread", "util", "dl"] {
        fs::write(folder.join(format!("lib{library}.a")), "!<arch>\n")?;
    }
    println!("cargo::rustc-link-search=native={}", folder.display());
    Ok(())
}
