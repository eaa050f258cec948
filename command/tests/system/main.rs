//! `sigward install --system` in a root of a few programs: at any time, also after a kill between
//! two steps, all of them start; and nothing stays.
//!
//! No test touches the machine's own `/etc/ld.so.preload`.

mod beside_run;
mod both_classes;
mod bytes;
mod kills;
mod refused;
mod said;
mod unit;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sigward_harness::artifacts;
use sigward_harness::programs::{Libc, copy, loaded_files};
use tempfile::TempDir;

const PRELOAD: &str = "etc/ld.so.preload";
const LIBRARY: &str = "/usr/lib/sigward/system/libsigward.so";
/// The entry: it leads each class of programs to its library.
const ENTRY: &str = "/usr/lib/sigward/system/$LIB/libsigward.so";

/// What is started in a root, to see that programs start.
const STARTS: [(&[&str], i32, &str); 3] = [
    (&["/bin/true"], 0, ""),
    (&["/bin/sh", "-c", "/bin/true; exit 5"], 5, ""),
    (&["/bin/cat", "/opt/text"], 0, "text\n"),
];

/// A folder with some programs of glibc and what they load.
struct Root(TempDir);

impl Root {
    fn new() -> Self {
        Self::in_folder(tempfile::tempdir().expect("a folder"))
    }

    /// In memory, where programs can be started there: for hundreds of installs, each of which waits
    /// for the disk.
    fn in_memory() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").ok().filter(|folder| {
            let program = folder.path().join("true");
            let copied = copy(&Path::new("/bin/true").canonicalize().expect("a file"), &program);
            let starts = copied.is_ok() && Command::new(&program).status().is_ok();
            let _ = fs::remove_file(program);
            starts
        });
        folder.map_or_else(Self::new, Self::in_folder)
    }

    fn in_folder(folder: TempDir) -> Self {
        let root = Self(folder);
        // Other users start programs in it.
        fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
        for folder in ["etc", "run", "opt", "usr", "usr/lib"] {
            fs::create_dir(root.at(folder)).expect("a folder");
        }
        for program in ["/bin/sh", "/bin/true", "/bin/cat", "/bin/ls"] {
            root.add(Path::new(program), program);
            for file in loaded_files(Path::new(program), Libc::Glibc).expect("it is dynamic") {
                root.add(&file, file.to_str().expect("UTF-8"));
            }
        }
        root.add(Path::new("/lib64/ld-linux-x86-64.so.2"), "/lib64/ld-linux-x86-64.so.2");
        root.write("opt/text", "text\n");
        root
    }

    /// As far as an install looks: with systemd.
    fn with_systemd() -> Self {
        let root = Self::new();
        root.add_systemd();
        root
    }

    fn add_systemd(&self) {
        fs::create_dir_all(self.at("etc/systemd/system")).expect("a folder");
        self.write("lib/systemd/systemd", "");
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.path().join(path.trim_start_matches('/'))
    }

    fn add(&self, file: &Path, at: &str) {
        let to = self.at(at);
        if !to.exists() {
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            copy(&file.canonicalize().expect("a file"), &to).expect("a copy");
        }
    }

    fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("it is ours");
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.at(path)).ok()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("chroot");
        command.arg(self.path()).args(arguments).env_remove("LD_PRELOAD");
        command.output().expect("chroot")
    }

    fn sigward(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(artifacts::command());
        command.args([arguments[0], "--system", "--root"]).arg(self.path()).args(&arguments[1..]);
        command.output().expect("sigward")
    }

    /// A `sigward` that must succeed.
    fn must(&self, arguments: &[&str]) -> String {
        let output = self.sigward(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Checks that programs start, and say no more than they would anywhere.
    fn starts(&self, when: &str) {
        let narrow = self.at(both_classes::PROGRAM).exists();
        let narrow = narrow.then_some((&[both_classes::PROGRAM][..], 7, ""));
        for (arguments, code, text) in STARTS.into_iter().chain(narrow) {
            let output = self.run(arguments);
            let words = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{when}: {arguments:?}: {output:?}");
            assert_eq!(String::from_utf8_lossy(&output.stdout), text, "{when}");
            assert_eq!(words, "", "{when}: {arguments:?}");
        }
    }

    /// Whether programs get the library, those of both classes if there are such.
    fn is_in_force(&self) -> bool {
        let narrow = self.at(both_classes::PROGRAM).exists().then_some(both_classes::PROGRAM);
        let mut all = [Some("/bin/true"), narrow].into_iter().flatten();
        all.all(|program| self.has_library(program))
    }

    fn has_library(&self, program: &str) -> bool {
        let mut command = Command::new("chroot");
        command.arg(self.path()).arg(program).env("SIGWARD_LOG", "info");
        let output = command.output().expect("chroot");
        String::from_utf8_lossy(&output.stderr).contains("SIGWARD=auto")
    }

    /// Everything in it: mode and owner, and bytes or target.
    fn everything(&self) -> BTreeMap<PathBuf, (u32, u32, Vec<u8>)> {
        let mut all = BTreeMap::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let found = fs::symlink_metadata(&path).expect("it is there");
                let what = if found.is_symlink() {
                    fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
                } else if found.is_file() {
                    fs::read(&path).expect("a file")
                } else {
                    folders.push(path.clone());
                    Vec::new()
                };
                all.insert(path, (found.mode(), found.uid(), what));
            }
        }
        all
    }

    /// Checks that everything is as `before`.
    fn is_as(&self, before: &BTreeMap<PathBuf, (u32, u32, Vec<u8>)>, when: &str) {
        let now = self.everything();
        let differs = |path: &&PathBuf| before.get(*path) != now.get(*path);
        let paths: Vec<_> = before.keys().chain(now.keys()).filter(differs).collect();
        assert!(paths.is_empty(), "{when}: {paths:?}");
    }

    fn link(&self, to: &str, at: &str) {
        symlink(to, self.at(at)).expect("a link");
    }
}
