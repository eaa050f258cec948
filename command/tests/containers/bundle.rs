//! A bundle for runc: a root folder and a `config.json`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::{Value, json};
use sigward_harness::artifacts;
use sigward_harness::need;
use sigward_harness::programs::{Libc, copy, loaded_files};
use sigward_harness::signals::{self, Values};
use tempfile::TempDir;

/// A container to be: its root and its `config.json`.
pub struct Bundle {
    folder: TempDir,
    pub config: Value,
}

impl Bundle {
    /// A read-only root with nothing but the command, a program and what that loads.
    pub fn new(program: &Path, libc: Libc) -> Option<Self> {
        need::program("runc")?;
        let folder = tempfile::tempdir().unwrap();
        enterable(folder.path());
        let spec = Command::new("runc").args(["spec", "--bundle"]).arg(folder.path()).status();
        assert!(spec.unwrap().success());
        let text = fs::read_to_string(folder.path().join("config.json")).unwrap();
        let mut config: Value = serde_json::from_str(&text).unwrap();
        config["process"]["terminal"] = false.into();
        let bundle = Self { folder, config };
        bundle.add(artifacts::command(), "/sigward");
        bundle.add(program, "/program");
        for file in loaded_files(program, libc).unwrap() {
            bundle.add(&file, file.to_str().unwrap());
        }
        Some(bundle)
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("rootfs")
    }

    fn add(&self, file: &Path, at: &str) {
        let to = self.root().join(at.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        copy(file, &to).unwrap();
    }

    /// As `sigward library --extract /` does when an image is built.
    pub fn extract(&self) {
        let mut chroot = Command::new("chroot");
        chroot.arg(self.root()).args(["/sigward", "library", "--extract", "/"]);
        let extract = chroot.stdout(Stdio::null()).status();
        assert!(extract.unwrap().success());
    }

    pub fn user(&mut self, id: u32) {
        self.config["process"]["user"] = json!({ "uid": id, "gid": id });
        if id != 0 {
            self.config["process"]["capabilities"] = json!({});
        }
    }

    pub fn memlock(&mut self, bytes: u64) {
        self.config["process"]["rlimits"] =
            json!([{ "type": "RLIMIT_MEMLOCK", "soft": bytes, "hard": bytes }]);
    }

    /// runc, which runs these arguments in the container.
    pub fn runc(&mut self, arguments: &[&str]) -> Command {
        self.config["process"]["args"] = arguments.into();
        let text = serde_json::to_vec(&self.config).unwrap();
        fs::write(self.folder.path().join("config.json"), text).unwrap();
        let mut runc = self.state();
        runc.args(["run", "--bundle"]).arg(self.folder.path()).arg(self.name());
        runc.stdin(Stdio::null());
        runc
    }

    pub fn state(&self) -> Command {
        let mut runc = Command::new("runc");
        runc.arg("--root").arg(self.folder.path().join("state"));
        // Go's runtime sends itself SIGURG, and runc passes that on to the container.
        runc.env("GODEBUG", "asyncpreemptoff=1");
        runc
    }

    /// Names are the machine's, not the state folder's: cgroups are made of them.
    pub fn name(&self) -> String {
        let unique = self.folder.path().file_name().unwrap().to_str().unwrap();
        format!("sigward-{}", unique.trim_start_matches('.'))
    }

    pub fn run(&mut self, arguments: &[&str]) -> Output {
        self.runc(arguments).output().unwrap()
    }

    /// Runs a program that writes a line when it is ready.
    pub fn start(&mut self, arguments: &[&str]) -> Running {
        let mut runc = self.runc(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(runc.stdout.take().unwrap());
        assert!(!output.fill_buf().unwrap().is_empty(), "it has not started");
        let state = self.state().args(["state", &self.name()]).output().unwrap();
        let state: Value = serde_json::from_slice(&state.stdout).unwrap();
        Running { runc, output, first: state["pid"].as_i64().unwrap() as i32 }
    }
}

/// A container that runs.
pub struct Running {
    runc: Child,
    output: BufReader<ChildStdout>,
    /// Its process 1, as numbered outside.
    first: i32,
}

impl Running {
    /// Every signal, sent from outside: what was sent, and what the program received.
    pub fn send_all(&mut self) -> (Values, Values) {
        signals::send_all(self.first, &mut self.output)
    }

    /// What the kernel says of process 1.
    pub fn status(&self) -> String {
        fs::read_to_string(format!("/proc/{}/status", self.first)).expect("/proc")
    }

    /// The next line that the program writes.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line
    }

    /// The rest of what it writes, and the exit code.
    pub fn end(mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("text");
        (rest, self.runc.wait().expect("runc").code())
    }
}

/// A user without privileges enters the root.
fn enterable(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}
