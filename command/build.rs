//! Puts the library into the command, if it is built: `LIBSIGWARD=PATH`, or where
//! `cargo build --release -p sigward-preload` puts it. The digest names copies of it.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

fn main() {
    println!("cargo::rerun-if-env-changed=LIBSIGWARD");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let given = env::var_os("LIBSIGWARD").map(PathBuf::from);
    let library = given.clone().or_else(|| built(&out));
    let bytes = library.as_deref().and_then(|path| {
        println!("cargo::rerun-if-changed={}", path.display());
        fs::read(path).ok()
    });
    assert!(bytes.is_some() || given.is_none(), "LIBSIGWARD={given:?} cannot be read");
    let code = match &bytes {
        Some(bytes) => {
            fs::write(out.join("libsigward.so"), bytes).expect("OUT_DIR is writable");
            let mut digest = String::new();
            for byte in Sha256::digest(bytes) {
                write!(digest, "{byte:02x}").expect("a String");
            }
            format!(
                "Some(Embedded {{ digest: {digest:?}, \
                 bytes: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/libsigward.so\")) }})"
            )
        }
        None => "None".to_owned(),
    };
    fs::write(out.join("embedded.rs"), code).expect("OUT_DIR is writable");
}

/// Where cargo puts the library for the command's target. `out` is
/// `TARGET-FOLDER/[TRIPLE/]PROFILE/build/PACKAGE/out`; the library is built with `--target`
/// only if it is for another machine.
fn built(out: &Path) -> Option<PathBuf> {
    let (target, host) = (env::var("TARGET").ok()?, env::var("HOST").ok()?);
    let mut folder = out.ancestors().nth(4)?;
    if folder.file_name().is_some_and(|name| name.to_str() == Some(&target)) {
        folder = folder.parent()?;
    }
    let mut folder = folder.to_owned();
    if target != host {
        folder.push(target);
    }
    Some(folder.join("release/libsigward.so"))
}
