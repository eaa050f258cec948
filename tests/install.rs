//! `make install`: the installed files work where there is nothing else, and `make
//! uninstall` removes them.

use std::fs;
use std::path::Path;
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
