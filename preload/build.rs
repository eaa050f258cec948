//! Link arguments of `libsigward.so`.
fn main() {
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
        // Not in the profile alone: rustc leaves the symbol table in a cdylib.
        "-Wl,--strip-all",
    ] {
        println!("cargo:rustc-cdylib-link-arg={arg}");
    }
}
