//! Link arguments of `libsigward.so`, and the `cfg` by which a test breaks its link.

use std::path::PathBuf;
use std::{env, fs, io};

/// For the compiler that links: no start files and no libraries, one file for
/// every libc, old and new. `initfirst` has glibc run our constructor before
/// all others, so that our fork handlers, being registered first, run last
/// before a fork: those of other libraries may wait for threads that wait for
/// us. musl runs it first anyway; before glibc 2.34 libpthread is preferred.
const LINUX: &[&str] = &["-nostdlib", "-nostartfiles", "-Wl,-z,initfirst"];

/// The ABI's mark, which rtld asks for, and the constructor.
const FREEBSD: &[&str] = &["-melf_x86_64_fbsd", "-init=sigward_on_load"];

/// For every linker.
const LINKER: &[&str] = &[
    // An undefined name that is not weak must fail the link, not the program.
    "-z defs",
    // FreeBSD's rtld before 9.1 reads DT_HASH only.
    "--hash-style=both",
    "-soname libsigward.so",
    "--gc-sections",
    "-z noexecstack",
    // Fork handlers and a key's destructor point into it.
    "-z nodelete",
    // Not in the profile alone: rustc leaves the symbol table in a cdylib.
    "--strip-all",
];

fn main() -> io::Result<()> {
    println!("cargo::rustc-check-cfg=cfg(sigward_plant, values(\"panic\", \"stray\"))");
    println!("cargo::rerun-if-changed=build.rs");
    let freebsd = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "freebsd");
    let arguments = if freebsd { FREEBSD } else { LINUX };
    for arg in arguments {
        println!("cargo::rustc-cdylib-link-arg={arg}");
    }
    for arg in LINKER {
        if freebsd {
            // No compiler is in between.
            for word in arg.split(' ') {
                println!("cargo::rustc-cdylib-link-arg={word}");
            }
        } else {
            println!("cargo::rustc-cdylib-link-arg=-Wl,{}", arg.replace(' ', ","));
        }
    }

    // Without its feature `std` the crate `libc` asks for these by name, which `-nostdlib` does
    // not take back: a stray name would then be found there, and the library need that libc.
    // Ours are found first, and are empty.
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let libraries = ["c", "m", "rt", "pthread", "util", "dl"];
    let freebsd_libraries = ["execinfo", "kvm", "memstat", "procstat", "devstat"];
    for library in libraries.into_iter().chain(freebsd_libraries) {
        fs::write(folder.join(format!("lib{library}.a")), "!<arch>\n")?;
    }
    println!("cargo::rustc-link-search=native={}", folder.display());
    Ok(())
}
