//! The command in real containers: bundles for runc, with its default mounts and namespaces.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sigward_harness::artifacts;
use sigward_harness::need;
use sigward_harness::programs::{Libc, build, copy, libcs, loaded_files};
use tempfile::TempDir;

/// A container to be: its root and its `config.json`.
struct Bundle {
    folder: TempDir,
    config: Value,
}

impl Bundle {
    /// A read-only root with nothing but the command, a program and what that loads.
    fn new(program: &Path, libc: Libc) -> Option<Self> {
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
    fn extract(&self) {
        let mut chroot = Command::new("chroot");
        chroot.arg(self.root()).args(["/sigward", "library", "--extract", "/"]);
        let extract = chroot.stdout(Stdio::null()).status();
        assert!(extract.unwrap().success());
    }

    fn user(&mut self, id: u32) {
        self.config["process"]["user"] = json!({ "uid": id, "gid": id });
        if id != 0 {
            self.config["process"]["capabilities"] = json!({});
        }
    }

    fn memlock(&mut self, bytes: u64) {
        self.config["process"]["rlimits"] =
            json!([{ "type": "RLIMIT_MEMLOCK", "soft": bytes, "hard": bytes }]);
    }

    /// runc, which runs these arguments in the container.
    fn runc(&mut self, arguments: &[&str]) -> Command {
        self.config["process"]["args"] = arguments.into();
        let text = serde_json::to_vec(&self.config).unwrap();
        fs::write(self.folder.path().join("config.json"), text).unwrap();
        let mut runc = self.state();
        runc.args(["run", "--bundle"]).arg(self.folder.path()).arg(self.name());
        runc.stdin(Stdio::null());
        runc
    }

    fn state(&self) -> Command {
        let mut runc = Command::new("runc");
        runc.arg("--root").arg(self.folder.path().join("state"));
        runc
    }

    /// Names are the machine's, not the state folder's: cgroups are made of them.
    fn name(&self) -> String {
        let unique = self.folder.path().file_name().unwrap().to_str().unwrap();
        format!("sigward-{}", unique.trim_start_matches('.'))
    }

    fn run(&mut self, arguments: &[&str]) -> Output {
        self.runc(arguments).output().unwrap()
    }
}

/// A user without privileges enters the root.
fn enterable(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Whether runc can make containers here: it may need more than root.
fn possible(bundle: &mut Bundle) -> bool {
    let output = bundle.run(&["/sigward", "--version"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    need::optional(output.status.success(), "runc's containers", words.trim())
}

const ON: [&str; 7] = ["/sigward", "run", "--mode", "on", "--set", "SIGWARD_STATS=1", "--"];

#[test]
fn a_program_is_hardened_in_every_container() {
    if !need::root() {
        return;
    }
    for &libc in libcs() {
        let program = build("altstack_threads", libc).unwrap();
        let Some(mut bundle) = Bundle::new(&program, libc) else { return };
        if !possible(&mut bundle) {
            return;
        }
        let check = |bundle: &mut Bundle, what: &str, init: bool| {
            let mut arguments = ON.to_vec();
            arguments.splice(2..2, init.then_some("--init"));
            arguments.extend(["/program", "8"]);
            let output = bundle.run(&arguments);
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(stdout, "threads: 8, signals: 8\n", "{libc:?} {what}: {stderr}");
            let id = if init { "" } else { "1" };
            assert!(stderr.contains(&format!("sigward[{id}")), "{libc:?} {what}: {stderr}");
            assert!(stderr.contains("duty=act stacks=8"), "{libc:?} {what}: {stderr}");
        };
        // Nothing but the command and the program, and a root that cannot be written.
        check(&mut bundle, "root, alone", false);
        check(&mut bundle, "root, alone", true);
        bundle.memlock(0);
        check(&mut bundle, "root, no locks", true);
        bundle.extract();
        bundle.user(65534);
        for bytes in [64 << 10, 0] {
            bundle.memlock(bytes);
            check(&mut bundle, "nobody", false);
            check(&mut bundle, "nobody", true);
        }
    }
}

/// Another user finds no place on a read-only root, whose /dev/shm is noexec.
#[test]
fn without_a_place_the_container_does_not_start() {
    if !need::root() {
        return;
    }
    let program = build("altstack_threads", Libc::Glibc).unwrap();
    let Some(mut bundle) = Bundle::new(&program, Libc::Glibc) else { return };
    if !possible(&mut bundle) {
        return;
    }
    bundle.user(65534);
    let output = bundle.run(&[&ON[..], &["/program", "8"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125), "{stderr}");
    assert!(stderr.contains("--library PATH"), "{stderr}");
}

/// A program that sleeps.
fn sleeper(libc: Libc) -> PathBuf {
    let compiler = if libc == Libc::Musl { "musl-gcc" } else { "gcc" };
    let folder = artifacts::target().join("programs");
    let (source, program) = (folder.join("sleeper.c"), folder.join(format!("sleeper-{compiler}")));
    fs::write(&source, "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n").unwrap();
    let built = Command::new(compiler).arg("-o").arg(&program).arg(&source).status();
    assert!(built.unwrap().success());
    program
}

/// `runc kill`, and so `docker stop`, sends SIGTERM to process 1.
#[test]
fn sigterm_ends_the_program_with_its_status() {
    if !need::root() {
        return;
    }
    for &libc in libcs() {
        let program = sleeper(libc);
        let Some(mut bundle) = Bundle::new(&program, libc) else { return };
        if !possible(&mut bundle) {
            return;
        }
        bundle.extract();
        bundle.user(65534);
        let mut runc = bundle.runc(&["/sigward", "run", "--init", "--", "/program"]);
        let mut running = runc.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        // Until it runs, and then until it ends: a signal may come before the program does.
        let status = loop {
            let kill = bundle.state().args(["kill", &bundle.name(), "TERM"]).output();
            kill.unwrap();
            if let Some(status) = running.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "it does not end");
            std::thread::sleep(Duration::from_millis(50));
        };
        assert_eq!(status.code(), Some(143), "{libc:?}");
    }
}
