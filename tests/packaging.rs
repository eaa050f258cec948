//! What is packed: one list of files for `make install`, the tarball and the packages, and no file
//! of the repository that a package needs is missing. `make dist-check` and `make packages-check`
//! try the packages themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sigward_harness::artifacts::{command, preload, preload32, workspace};

/// What `packaging/tree` makes, as paths in it.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut script = Command::new(workspace().join("packaging/tree"));
    script.arg(command()).arg(preload()).arg(preload32()).arg(folder);
    let output = script.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    files(folder)
}

/// The files in a folder, as sorted paths in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_tarballs_script_puts_and_removes_exactly_the_trees_files() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let expected = tree(&from);
    fs::copy(workspace().join("packaging/install.sh"), from.join("install.sh")).unwrap();
    let run = |arguments: &[&str]| {
        let output =
            Command::new("sh").arg(from.join("install.sh")).args(arguments).arg(&to).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    run(&[]);
    assert_eq!(files(&to), expected);
    // What else is in a shared folder stays.
    fs::write(to.join("bin/other"), "").unwrap();
    run(&["--remove"]);
    assert_eq!(files(&to), [Path::new("bin/other")]);
    assert!(!to.join("lib/sigward").exists() && !to.join("share/doc/sigward").exists());
}

#[test]
fn the_tree_holds_each_subcommands_page_and_what_the_pages_link() {
    let folder = tempfile::tempdir().unwrap();
    let files = tree(folder.path());
    let has = |path: &str| files.iter().any(|file| file == Path::new(path));
    for path in [
        "bin/sigward",
        "lib/sigward/libsigward.so",
        "lib/sigward/i386/libsigward.so",
        "share/man/man1/sigward.1",
        "share/zsh/site-functions/_sigward",
        "share/doc/sigward/LICENSE-MIT",
        "share/doc/sigward/LICENSE-APACHE",
        "share/doc/sigward/CHANGELOG.md",
        "share/doc/sigward/SECURITY.md",
        "share/doc/sigward/examples/Dockerfile",
    ] {
        assert!(has(path), "{path}");
    }
    let help = Command::new(command()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let names = commands.lines().take_while(|line| line.starts_with("  "));
    let names: Vec<&str> = names.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"run"), "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        assert!(has(&format!("share/man/man1/sigward-{name}.1")), "no page for {name}");
    }
}

/// One value of `LD_PRELOAD` for both classes: what the loaders of Debian put for `$LIB`.
#[test]
fn the_tree_has_a_library_for_what_each_loader_puts() {
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path());
    let own = folder.path().join("lib/sigward");
    for (word, library) in [
        ("lib/x86_64-linux-gnu", preload()),
        ("lib64", preload()),
        ("$LIB", preload()),
        ("lib/i386-linux-gnu", preload32()),
        ("lib32", preload32()),
    ] {
        let found = fs::read(own.join(word).join("libsigward.so")).unwrap();
        assert!(found == fs::read(library).unwrap(), "{word}");
    }
}

/// The version is in one place; a release has an entry for it.
#[test]
fn the_changes_name_this_version() {
    let changes = fs::read_to_string(workspace().join("CHANGELOG.md")).unwrap();
    let heading = format!("\n## {}", env!("CARGO_PKG_VERSION"));
    assert!(changes.contains(&heading), "CHANGELOG.md has no{heading}");
}
