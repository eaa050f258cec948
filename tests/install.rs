//! `make install`: the installed files work where there is nothing else, a second install
//! replaces them at once, and `make uninstall` removes them.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sigward_harness::artifacts::workspace;
use sigward_harness::need;

fn make(target: &str, folder: &Path) -> Output {
    let destination = format!("DESTDIR={}", folder.display());
    let mut command = Command::new("make");
    command.current_dir(workspace()).args(["--silent", target, &destination]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "make {target}: {output:?}");
    output
}

#[test]
fn installed_files_work_and_can_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    make("build", folder.path());
    make("install", folder.path());

    let docs = folder.path().join("usr/local/share/doc/sigward");
    let readme = fs::read_to_string(docs.join("README.md")).unwrap();
    let links: Vec<&str> =
        readme.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()).collect();
    assert!(links.len() > 5, "{links:?}");
    for link in links {
        assert!(docs.join(link).exists(), "README.md links {link}, which is not installed");
    }

    let share = folder.path().join("usr/local/share");
    for page in
        ["man/man1/sigward.1", "man/man1/sigward-run.1", "bash-completion/completions/sigward"]
    {
        assert!(share.join(page).is_file(), "{page}");
    }

    if need::root() {
        // No C library, no loader, no /proc.
        let mut sigward = Command::new("chroot");
        sigward.arg(folder.path()).args(["/usr/local/bin/sigward", "check", "--kernel", "5.3.1"]);
        let output = sigward.output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(stdout.contains("5.3.1"), "{output:?}");
    }

    make("uninstall", folder.path());
    let left = Command::new("find").arg(folder.path()).args(["-type", "f"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}

/// A program that starts amid an install must find the old file or the new one, whole. So no
/// name of an installed file is ever created, written or removed: it only comes by rename(2).
#[test]
fn installing_again_replaces_every_file_by_rename() {
    let folder = tempfile::tempdir().unwrap();
    make("build", folder.path());
    make("install", folder.path());
    let installed = files(folder.path());
    assert!(installed.len() > 20, "{installed:?}");

    // SAFETY: makes a descriptor.
    let descriptor = unsafe { libc::inotify_init1(libc::IN_NONBLOCK) };
    assert!(descriptor >= 0);
    // SAFETY: the descriptor is open, and nobody else's.
    let mut events = unsafe { File::from_raw_fd(descriptor) };
    let mut watched = Vec::new();
    for file in &installed {
        let parent = file.parent().unwrap().to_owned();
        if !watched.iter().any(|(_, folder)| *folder == parent) {
            let path = CString::new(parent.to_str().unwrap()).unwrap();
            let mask = libc::IN_CREATE | libc::IN_MODIFY | libc::IN_DELETE | libc::IN_MOVE;
            // SAFETY: the path ends with a zero.
            let watch = unsafe { libc::inotify_add_watch(events.as_raw_fd(), path.as_ptr(), mask) };
            assert!(watch >= 0, "{path:?}");
            watched.push((watch, parent));
        }
    }
    make("install", folder.path());

    let (mut bytes, mut buffer) = (Vec::new(), [0; 16384]);
    // Ends with EAGAIN when all have been read.
    while let Ok(length) = events.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..length]);
    }
    let mut renamed = Vec::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let number = |at: usize| u32::from_ne_bytes(rest[at..at + 4].try_into().unwrap());
        let (watch, mask, length) = (number(0) as i32, number(4), number(12) as usize);
        let name = String::from_utf8(rest[16..16 + length].to_vec()).unwrap();
        let folder = &watched.iter().find(|(one, _)| *one == watch).unwrap().1;
        let file = folder.join(name.trim_end_matches('\0'));
        rest = &rest[16 + length..];
        if installed.contains(&file) {
            assert_eq!(mask, libc::IN_MOVED_TO, "{}: not only by rename", file.display());
            renamed.push(file);
        }
    }
    renamed.sort();
    assert_eq!(renamed, installed);
    assert_eq!(files(folder.path()), installed, "nothing is left beside the files");
}

/// The files in a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let found = Command::new("find").arg(folder).args(["-type", "f"]).output().unwrap();
    let text = String::from_utf8(found.stdout).unwrap();
    let mut files: Vec<PathBuf> = text.lines().map(PathBuf::from).collect();
    files.sort();
    files
}
