//! Puts the library into the command: `LIBSIGWARD=PATH`, or where `cargo build --release -p
//! sigward-preload` puts it. If it is not there, or older than its sources, a release of the command
//! builds it, so that `cargo install --path command` gives a command that works alone. The digest
//! names copies of it.
//!
//! Beside it, the library for 32-bit programs: `LIBSIGWARD32=PATH` (empty: none), or the one that
//! `make i686` made. Where there is none, one without code takes its place.
//!
//! And into a static command, the dynamic one that was built before it, if there is one:
//! `probe --hardened` needs a program with a loader. It is `SIGWARD_DYNAMIC=PATH`, or where
//! `cargo build --release -p sigward-command` puts it.

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
    let embedded = |name: &str, bytes: &[u8]| {
        fs::write(out.join(name), bytes).expect("OUT_DIR is writable");
        let mut digest = String::new();
        for byte in Sha256::digest(bytes) {
            write!(digest, "{byte:02x}").expect("a String");
        }
        format!(
            "Embedded {{ digest: {digest:?}, \
             bytes: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\")) }}"
        )
    };
    let or_none = |name: &str, bytes: Option<Vec<u8>>| {
        bytes.map_or_else(|| "None".to_owned(), |bytes| format!("Some({})", embedded(name, &bytes)))
    };
    let write = |name: &str, code: String| {
        fs::write(out.join(name), code).expect("OUT_DIR is writable");
    };
    write("embedded.rs", or_none("libsigward.so", bytes));
    write("embedded_i386.rs", or_none("libsigward_i386.so", of_32_bit(&out)));
    write("empty_i386.rs", embedded("empty_i386.so", &empty_i386()));
    println!("cargo::rerun-if-env-changed=SIGWARD_DYNAMIC");
    let dynamic = env::var_os("SIGWARD_DYNAMIC").map(PathBuf::from).or_else(|| dynamic(&out));
    let dynamic = dynamic.and_then(|path| {
        println!("cargo::rerun-if-changed={}", path.display());
        fs::read(path).ok()
    });
    fs::write(out.join("dynamic"), dynamic.unwrap_or_default()).expect("OUT_DIR is writable");
}

/// The library for 32-bit programs, if there is one. What `make i686` made is made again if its
/// sources changed since.
fn of_32_bit(out: &Path) -> Option<Vec<u8>> {
    println!("cargo::rerun-if-env-changed=LIBSIGWARD32");
    if let Some(given) = env::var_os("LIBSIGWARD32") {
        if given.is_empty() {
            return None;
        }
        println!("cargo::rerun-if-changed={}", given.display());
        let bytes = fs::read(&given);
        return Some(bytes.unwrap_or_else(|why| panic!("LIBSIGWARD32={}: {why}", given.display())));
    }
    if env::var("TARGET").is_ok_and(|target| !target.starts_with("x86_64-unknown-linux-")) {
        return None;
    }
    // It is there, so that cargo sees when a file comes into it.
    let folder = target_folder(out)?.join("i686/made");
    fs::create_dir_all(&folder).ok()?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let library = folder.join("libsigward.so");
    let is_there = library.exists();
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if is_there && release && !is_fresh(&library) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/i686/build");
        // With the flags of that target, and where it was built before.
        let mut build = Command::new(script);
        build.env("CARGO_TARGET_DIR", target_folder(out)?).stdout(std::io::stderr());
        build.env_remove("RUSTC_WORKSPACE_WRAPPER").env_remove("CARGO_ENCODED_RUSTFLAGS");
        let ended = build.status();
        assert!(
            ended.as_ref().is_ok_and(std::process::ExitStatus::success),
            "the library for 32-bit programs cannot be built again ({ended:?}): run `make i686`, \
             or leave it out with LIBSIGWARD32="
        );
    }
    fs::read(library).ok()
}

/// A shared object for i386 in which there is nothing but a SONAME: what the loader of 32-bit
/// programs is given, which complains about any other file at each exec.
fn empty_i386() -> Vec<u8> {
    const HEADER: u32 = 52;
    const SEGMENT: u32 = 32;
    const SYMBOL: u32 = 16;
    const NAMES: &[u8; 16] = b"\0libsigward.so\0\0";
    const HASH: u32 = 16;
    const ENTRY: u32 = 8;
    const ENTRIES: u32 = 7;
    let symbols = HEADER + 3 * SEGMENT;
    let names = symbols + SYMBOL;
    let hash = names + NAMES.len() as u32;
    let dynamic = hash + HASH;
    let end = dynamic + ENTRIES * ENTRY;

    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    let half = |file: &mut Vec<u8>, values: &[u16]| {
        file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    };
    let word = |file: &mut Vec<u8>, values: &[u32]| {
        file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    };
    half(&mut file, &[3, 3]); // ET_DYN, EM_386
    word(&mut file, &[1, 0, HEADER, 0, 0]); // version, entry, segments, sections, flags
    half(&mut file, &[HEADER as u16, SEGMENT as u16, 3, 40, 0, 0]);
    // Type, offset, address twice, size twice, flags, alignment. The loader writes into the
    // dynamic section. Without PT_GNU_STACK it would make every stack executable.
    word(&mut file, &[1, 0, 0, 0, end, end, 6, 4096]); // PT_LOAD
    word(&mut file, &[2, dynamic, dynamic, dynamic, end - dynamic, end - dynamic, 6, 4]);
    word(&mut file, &[0x6474_e551, 0, 0, 0, 0, 0, 6, 16]); // PT_GNU_STACK
    word(&mut file, &[0; 4]); // the symbol that every table has
    file.extend(NAMES);
    word(&mut file, &[1, 1, 0, 0]); // one bucket, one chain, both empty
    // DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_SYMENT, DT_SONAME
    word(&mut file, &[4, hash, 5, names, 6, symbols, 10, NAMES.len() as u32, 11, SYMBOL]);
    word(&mut file, &[14, 1, 0, 0]);
    assert_eq!(file.len(), end as usize, "the parts are where the headers say");
    file
}

/// Cargo's target folder: `out` is `TARGET-FOLDER/[TRIPLE/]PROFILE/build/PACKAGE/out`.
fn target_folder(out: &Path) -> Option<&Path> {
    let target = env::var("TARGET").ok()?;
    let folder = out.ancestors().nth(4)?;
    let is_of_target = folder.file_name().is_some_and(|name| name.to_str() == Some(&target));
    if is_of_target { folder.parent() } else { Some(folder) }
}

/// Where cargo puts the dynamic command for this machine, if this one is built with `--target`, as
/// the static one is, and in the release profile.
fn dynamic(out: &Path) -> Option<PathBuf> {
    let (target, host) = (env::var("TARGET").ok()?, env::var("HOST").ok()?);
    let profile = out.ancestors().nth(3)?;
    let above = profile.parent()?;
    let is_static = target == host && above.file_name().is_some_and(|name| *name == *target);
    (is_static && profile.ends_with("release")).then_some(above.parent()?.join("release/sigward"))
}

/// Where cargo puts the library for the command's target, which is built with `--target` only if it
/// is for another machine.
fn built(out: &Path) -> Option<PathBuf> {
    let (target, host) = (env::var("TARGET").ok()?, env::var("HOST").ok()?);
    let mut folder = target_folder(out)?.to_owned();
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
