//! Puts the library into the command: `LIBSIGWARD=PATH`, or where `cargo build --release -p
//! sigward-preload` puts it. If it is not there, or older than its sources, a release of the command
//! builds it, so that `cargo install --path command` gives a command that works alone. The digest
//! names copies of it.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

fn main() {
    println!("cargo::rerun-if-env-changed=LIBSIGWARD");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let given = env::var_os("LIBSIGWARD").map(PathBuf::from);
    let library = given.clone().or_else(|| {
        let library = built(&out)?;
        let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
        if release && !is_fresh(&library) { Some(build(&out)) } else { Some(library) }
    });
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

/// Whether no source of the library is newer than it. Its sources are in the file of
/// dependencies that cargo writes beside it, as a rule of make.
fn is_fresh(library: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    let Some(built) = modified(library) else { return false };
    let Ok(rule) = fs::read_to_string(library.with_extension("d")) else { return false };
    let Some((_, sources)) = rule.split_once(": ") else { return false };
    let sources = sources.trim_end().replace("\\ ", "\0");
    sources.split(' ').all(|source| {
        let source = source.replace('\0', " ");
        println!("cargo::rerun-if-changed={source}");
        modified(Path::new(&source)).is_some_and(|changed| changed <= built)
    })
}

/// Builds the library in a folder of its own, as the cargo that runs us has locked its own.
fn build(out: &Path) -> PathBuf {
    let (target, host) = (env::var("TARGET"), env::var("HOST"));
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../preload/Cargo.toml");
    let folder = out.join("library");
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"));
    cargo.args(["build", "--release", "--manifest-path"]).arg(manifest);
    cargo.arg("--target-dir").arg(&folder);
    // Where clippy compiles, for example.
    cargo.env_remove("RUSTC_WORKSPACE_WRAPPER");
    let mut library = folder;
    if target != host {
        let target = target.expect("cargo sets TARGET");
        cargo.args(["--target", &target]);
        library.push(target);
    }
    let ended = cargo.status();
    assert!(
        ended.as_ref().is_ok_and(std::process::ExitStatus::success),
        "the library that the command contains cannot be built ({ended:?}): build it first with \
         `cargo build --release -p sigward-preload`, or give its path as LIBSIGWARD=PATH"
    );
    library.join("release/libsigward.so")
}
