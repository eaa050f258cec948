//! Which library is preloaded, and which one is refused.

use std::os::unix::process::CommandExt;
use std::path::Path;

use assert_cmd::cargo::cargo_bin;
use predicates::prelude::*;
use predicates::str::contains;
use sigward_harness::need;
use sigward_harness::programs::copy;
use tempfile::TempDir;

use super::{LOADED, NOBODY, bare, folder, limited, mode, probe, public_folder};

#[test]
fn a_library_that_cannot_be_preloaded_is_refused() {
    let (text, other) = (folder().join("main.c"), folder().join("libother.so"));
    for (path, why) in [
        (Path::new("/no/such.so"), "cannot read"),
        (&text, "is not libsigward.so"),
        // The loader would load it, and it would protect nothing.
        (&other, "is not libsigward.so"),
        // Position-independent programs are ET_DYN too.
        (Path::new("/bin/true"), "is not libsigward.so"),
    ] {
        let mut command = bare();
        // `--force` does not help without a library.
        command.arg("--library").arg(path).args(["--force", "true"]);
        let why = contains(why).and(contains(path.to_str().expect("UTF-8")));
        limited(command).assert().code(125).stderr(why).stderr(contains("--library PATH"));
    }
}

#[test]
fn an_unreadable_library_is_refused() {
    if !need::root() {
        return;
    }
    let folder = public_folder();
    let (library, command) = (folder.path().join("lib.so"), folder.path().join("sigward"));
    std::fs::copy(probe(), &library).expect("copy");
    copy(cargo_bin!("sigward"), &command).expect("copy");
    mode(&command, 0o755);
    for (bits, code) in [(0o600, 125), (0o644, 0)] {
        mode(&library, bits);
        let mut command = std::process::Command::new(&command);
        command.uid(NOBODY).arg("run").arg("--library").arg(&library).arg("true");
        limited(command).assert().code(code);
    }
}

#[test]
fn a_path_that_the_loader_would_split_is_refused() {
    let folder = TempDir::new().expect("a folder");
    for name in ["with blank.so", "with:colon.so", "with\ttab.so", "with$LIB.so"] {
        let library = folder.path().join(name);
        std::fs::copy(probe(), &library).expect("copy");
        let mut command = bare();
        command.arg("--library").arg(&library).arg("true");
        limited(command)
            .assert()
            .code(125)
            .stderr(contains("the loader would split it"))
            .stderr(contains(name.replace('\t', "\\t")));
    }
}

#[test]
fn a_relative_library_path_is_made_absolute() {
    let mut command = bare();
    command.args(["--library", "libprobe.so", "sh", "-c", "cd /; exec true"]);
    command.current_dir(folder());
    limited(command).assert().success().stderr(LOADED.repeat(2));
}
