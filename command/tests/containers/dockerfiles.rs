//! The Dockerfiles of the documentation are built, and what they make is run.
//!
//! No registry is asked: they start from an image with nothing but a program and its libc.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use sigward_harness::artifacts;
use sigward_harness::need;
use sigward_harness::programs::{Libc, build, copy, libcs, loaded_files};
use tempfile::TempDir;

/// What comes before a part of a Dockerfile: the stage that it copies from, and its image.
const BEFORE: &str = "FROM scratch AS build\n\
                      COPY sigward /usr/local/bin/sigward\n\
                      FROM scratch\n\
                      COPY root/ /\n\
                      ENV SIGWARD=on SIGWARD_STATS=1\n";
const AFTER: &str = "CMD [\"/program\", \"8\"]\n";

/// The pieces of the documentation, and where they are.
fn dockerfiles() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(artifacts::workspace().join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let pages = docs.chain([artifacts::workspace().join("README.md")]);
    let pages = pages.filter(|path| path.extension().is_some_and(|it| it == "md"));
    let blocks = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let blocks = text.split("```dockerfile\n").skip(1);
        let blocks = blocks.map(|rest| rest.split("```").next().unwrap().to_owned());
        blocks.map(|block| (path.clone(), block)).collect::<Vec<_>>()
    };
    pages.flat_map(blocks).collect()
}

/// buildah, with storage of its own.
struct Builder {
    folder: TempDir,
}

impl Builder {
    fn new(libc: Libc) -> Self {
        let builder = Self { folder: tempfile::tempdir().unwrap() };
        let program = build("altstack_threads", libc).unwrap();
        builder.add(artifacts::command(), "sigward");
        builder.add(&program, "root/program");
        for file in loaded_files(&program, libc).unwrap() {
            builder.add(&file, &format!("root{}", file.display()));
        }
        builder
    }

    fn add(&self, file: &Path, at: &str) {
        let to = self.folder.path().join("context").join(at);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        copy(file, &to).unwrap();
    }

    fn buildah(&self, arguments: &[&str]) -> Output {
        let at = |name: &str| self.folder.path().join(name);
        let mut command = Command::new("buildah");
        command.current_dir(at("context")).args(["--storage-driver", "vfs"]);
        command.arg("--root").arg(at("store")).arg("--runroot").arg(at("run"));
        command.args(arguments).output().unwrap()
    }

    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.buildah(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:#?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn the_documentation_has_dockerfiles_that_work() {
    let found = dockerfiles();
    assert!(!found.is_empty());
    if !need::root() || need::program("buildah").is_none() {
        return;
    }
    for &libc in libcs() {
        let builder = Builder::new(libc);
        for (page, text) in &found {
            assert!(!text.contains("FROM "), "{}: no registry is asked", page.display());
            let whole = format!("{BEFORE}{text}{AFTER}");
            fs::write(builder.folder.path().join("context/Dockerfile"), &whole).unwrap();
            let isolated = ["build", "--isolation=chroot", "--tag=made", "."];
            let output = builder.buildah(&isolated);
            assert!(output.status.success(), "{}:\n{whole}{output:#?}", page.display());
            let image = builder.says(&["inspect", "--type=image", "made"]);
            let image: Value = serde_json::from_str(&image).unwrap();
            let words = |key: &str| image["OCIv1"]["config"][key].as_array().unwrap().clone();
            let command = [words("Entrypoint"), words("Cmd")].concat();
            let command = command.iter().map(|word| word.as_str().unwrap());
            let container = builder.says(&["from", "made"]);
            let run = ["run", "--isolation=chroot", container.trim(), "--"].into_iter();
            let output = builder.buildah(&run.chain(command).collect::<Vec<_>>());
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.stdout, b"threads: 8, signals: 8\n", "{libc:?} {stderr}");
            assert!(stderr.contains("duty=act stacks=8"), "{libc:?} {stderr}");
        }
    }
}
