//! Link arguments of `libsigward.so`, and the `cfg` with which a test breaks
//! its link.

use std::path::PathBuf;
use std::{env, fs, io};

/// Arguments for the compiler that links: no start files and no libraries, one
/// file for every libc, old and new. With `initfirst` glibc runs our
/// constructor before all others, so that our fork handlers, which are
/// registered first, run last before a fork: handlers of other libraries may
/// wait for threads that wait for us. musl runs it first anyway; glibc before
/// 2.34 prefers libpthread.
const LINUX: &[&str] = &["-nostdlib", "-nostartfiles", "-Wl,-z,initfirst"];

/// The ABI's mark, which rtld requires, and the constructor.
const FREEBSD: &[&str] = &["-melf_x86_64_fbsd", "-init=sigward_on_load"];

/// Arguments for every linker.
const LINKER: &[&str] = &[
    // An undefined name that is not weak must fail the link, not the program.
    "-z defs",
    // FreeBSD's rtld before 9.1 reads only DT_HASH.
    "--hash-style=both",
    "-soname libsigward.so",
    "--gc-sections",
    "-z noexecstack",
    // Fork handlers and a key's destructor point into the library.
    "-z nodelete",
    // The profile alone is not enough: rustc leaves the symbol table in a
    // cdylib.
    "--strip-all",
];

/// For kernels with pages of 64 KiB.
const LARGE_PAGES: &[&str] = &["-z max-page-size=65536"];

fn main() -> io::Result<()> {
    println!("cargo::rustc-check-cfg=cfg(sigward_plant, values(\"panic\", \"stray\"))");
    println!("cargo::rerun-if-changed=build.rs");
    let freebsd = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "freebsd");
    let arguments = if freebsd { FREEBSD } else { LINUX };
    for arg in arguments {
        println!("cargo::rustc-cdylib-link-arg={arg}");
    }
    let several_page_sizes =
        !env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|it| it.starts_with("x86"));
    let linker = LINKER.iter().chain(LARGE_PAGES.iter().filter(|_| several_page_sizes));
    for arg in linker {
        if freebsd {
            // There is no compiler in between.
            for word in arg.split(' ') {
                println!("cargo::rustc-cdylib-link-arg={word}");
            }
        } else {
            println!("cargo::rustc-cdylib-link-arg=-Wl,{}", arg.replace(' ', ","));
        }
    }

    // Without its feature `std` the crate `libc` names these libraries, which
    // `-nostdlib` does not undo: a stray name would be found there, and the
    // library would need that libc. Ours are found first, and are empty.
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let libraries = ["c", "m", "rt", "pthread", "util", "dl"];
    let freebsd_libraries = ["execinfo", "kvm", "memstat", "procstat", "devstat"];
    for library in libraries.into_iter().chain(freebsd_libraries) {
        fs::write(folder.join(format!("lib{library}.a")), "!<arch>\n")?;
    }
    println!("cargo::rustc-link-search=native={}", folder.display());
    Ok(())
}
