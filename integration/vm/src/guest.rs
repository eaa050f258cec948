//! The virtual machine: builds its file system, boots it, reads its serial line.

use crate::boot::Boot;
use crate::families::{LIBRARY, PROGRAMS};
use anyhow::{Context, Result, bail, ensure};
use sigward_harness::programs::{self, Libc};
use sigward_harness::scenarios::ALL;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the serial line may be silent before the machine counts as hung.
const SILENCE: Duration = Duration::from_secs(240);

/// The folder of the meters that are built for an old C library.
const OLD_METERS: &str = "meters/old";

/// The folder of this crate, with its patches and scripts.
pub fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command and returns its standard output; its standard error goes to the user.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_owned();
    let out = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", name.display()))?;
    ensure!(out.status.success(), "{} failed ({})", name.display(), out.status);
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Fails if a required program is missing, and says which package has it.
pub fn check_tools() -> Result<()> {
    const TOOLS: [(&str, &str); 5] = [
        ("qemu-system-x86_64", "qemu-system-x86"),
        ("gcc", "gcc"),
        ("strip", "binutils"),
        ("ldd", "libc-bin"),
        ("busybox", "busybox-static"),
    ];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing: Vec<_> = TOOLS
        .iter()
        .filter(|(tool, _)| !std::env::split_paths(&path).any(|dir| dir.join(tool).exists()))
        .map(|(_, package)| *package)
        .collect();
    ensure!(missing.is_empty(), "missing: apt install {}", missing.join(" "));
    Ok(())
}

/// Builds the meters into `folder`.
fn build_meters(compiler: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut programs = Vec::new();
    for entry in fs::read_dir(home().join("../programs/meters"))? {
        let source = entry?.path();
        if source.extension() != Some(OsStr::new("c")) {
            continue;
        }
        let program = folder.join(source.file_stem().unwrap_or_default());
        output(
            Command::new(compiler)
                .args(["-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"])
                .arg(&program)
                .arg(&source),
        )?;
        programs.push(program);
    }
    Ok(programs)
}

/// The shared libraries that a program needs, including the loader.
fn libraries_of(program: &Path) -> Result<Vec<PathBuf>> {
    let text = output(Command::new("ldd").arg(program))?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect())
}

fn install(file: &Path, root: &Path, target: impl AsRef<Path>) -> Result<()> {
    let target = root.join(target);
    fs::create_dir_all(target.parent().unwrap_or(root))?;
    fs::copy(file, &target).with_context(|| format!("cannot copy {}", file.display()))?;
    Ok(())
}

/// Installs a program without its debugging information, which would only use up the
/// machine's memory.
fn install_stripped(file: &Path, root: &Path, target: impl AsRef<Path>) -> Result<()> {
    let target = root.join(target);
    fs::create_dir_all(target.parent().unwrap_or(root))?;
    output(Command::new("strip").arg("--strip-debug").arg("-o").arg(&target).arg(file))?;
    Ok(())
}

/// What is tested, and what some rows need.
#[derive(Default)]
pub struct Parts<'a> {
    /// The library under test.
    pub library: Option<&'a Path>,
    /// The command under test.
    pub command: Option<&'a Path>,
    /// The stress program.
    pub stress: Option<&'a Path>,
    /// The compiler for an old C library.
    pub old_glibc: Option<&'a Path>,
    /// Whether the fault scenarios run.
    pub families: bool,
}

/// A file system that contains everything except the plan, which differs from boot to
/// boot.
pub struct Guest {
    root: tempfile::TempDir,
}

impl Guest {
    /// Collects the meters, libraries and tested files.
    pub fn new(parts: &Parts) -> Result<Self> {
        let guest = Self { root: tempfile::tempdir()? };
        let root = guest.root.path();
        // Readable for everyone, because some meters run as nobody.
        fs::set_permissions(root, Permissions::from_mode(0o755))?;
        for folder in ["bin", "meters", "proc", "sys", "dev", "tmp"] {
            fs::create_dir(root.join(folder))?;
        }
        let mut programs = build_meters(Path::new("gcc"), &root.join("meters"))?;
        if let Some(compiler) = parts.old_glibc {
            let folder = root.join(OLD_METERS);
            fs::create_dir(&folder)?;
            programs.extend(build_meters(compiler, &folder)?);
        }
        let busybox = output(Command::new("sh").args(["-c", "command -v busybox"]))?;
        let busybox = Path::new(busybox.trim());
        install(busybox, root, "bin/busybox")?;
        // Debian also has a dynamic busybox. For a static one ldd lists no libraries and
        // fails.
        for library in libraries_of(busybox).unwrap_or_default() {
            install(&library, root, library.strip_prefix("/")?)?;
        }
        install(&home().join("guest/init"), root, "init")?;
        for script in ["check", "probe", "stress"] {
            install(&home().join("guest").join(script), root, Path::new("meters").join(script))?;
        }
        if let Some(library) = parts.library {
            install(library, root, LIBRARY.trim_start_matches('/'))?;
        }
        if let Some(command) = parts.command {
            install(command, root, "meters/sigward")?;
            programs.push(command.to_owned());
        }
        let folder = Path::new(PROGRAMS.trim_start_matches('/'));
        if let Some(stress) = parts.stress {
            install_stripped(stress, root, folder.join("stress"))?;
            programs.push(stress.to_owned());
        }
        if parts.families {
            for family in ALL {
                let program = programs::build(family.program, Libc::Glibc)?;
                install(&program, root, folder.join(family.program))?;
                programs.push(program);
            }
            let this = std::env::current_exe()?;
            install_stripped(&this, root, "meters/family")?;
            programs.push(this);
        }
        for program in programs {
            for library in libraries_of(&program)? {
                install(&library, root, library.strip_prefix("/")?)?;
            }
        }
        Ok(guest)
    }

    /// Packs everything, with the plan, into an initial RAM file system.
    fn pack(&self, plan: &str) -> Result<tempfile::NamedTempFile> {
        fs::write(self.root.path().join("plan"), plan)?;
        let image = tempfile::NamedTempFile::new()?;
        output(
            Command::new("sh")
                .args(["-c", "find . | busybox cpio -o --quiet -H newc >\"$0\""])
                .arg(image.path())
                .current_dir(self.root.path()),
        )
        .context("cannot pack the initial RAM file system")?;
        Ok(image)
    }

    /// Boots `kernel`, runs the plan and returns each arm's report; writes the whole
    /// serial line to `log`.
    pub fn run(&self, boot: Boot, kernel: &Path, plan: &str, log: &Path) -> Result<Run> {
        let image = self.pack(plan)?;
        let mut log_file =
            File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut qemu = Machine(
            Command::new("qemu-system-x86_64")
                .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-m", "512M"])
                .args(["-smp", "2,sockets=2,cores=1,threads=1"])
                .args(["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"])
                .args(boot.qemu)
                .arg("-kernel")
                .arg(kernel)
                .arg("-initrd")
                .arg(image.path())
                .arg("-append")
                .arg(format!(
                    "console=ttyS0 quiet panic=-1 reboot=t no_timer_check mitigations=off {}",
                    boot.append
                ))
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .context("cannot run qemu-system-x86_64")?,
        );
        let serial = qemu.0.stdout.take().context("QEMU has no serial line")?;
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(serial).split(b'\n').map_while(std::io::Result::ok) {
                if send.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    break;
                }
            }
        });

        let mut run = Run::default();
        let start = Instant::now();
        loop {
            match lines.recv_timeout(SILENCE) {
                Ok(line) => {
                    writeln!(log_file, "{:8.3} {line}", start.elapsed().as_secs_f64())?;
                    if run.read(&line)? {
                        return Ok(run);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the machine is silent; see {}", log.display())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the machine stopped before the end; see {}", log.display())
                }
            }
        }
    }
}

/// A running QEMU; dropping this ends it.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The results of one boot.
#[derive(Debug, Default)]
pub struct Run {
    /// `uname -rv` of the kernel.
    pub kernel: String,
    /// Its /proc/version, which names the compiler.
    pub version: String,
    /// The arms' reports, by their numbers in the plan.
    pub reports: BTreeMap<usize, Report>,
}

impl Run {
    /// Reads one line of the serial line; returns true at the last one.
    fn read(&mut self, line: &str) -> Result<bool> {
        // The firmware leaves escape sequences before the first line.
        let Some(start) = line.find('@') else {
            return Ok(false);
        };
        let (word, rest) = line[start..].split_once(' ').unwrap_or((&line[start..], ""));
        match word {
            "@boot" => rest.clone_into(&mut self.kernel),
            "@version" => rest.clone_into(&mut self.version),
            "@end" => {
                let mut words = rest.splitn(3, ' ');
                let mut number = || words.next().unwrap_or_default().parse::<usize>();
                let (arm, status) = (number()?, number()?);
                let fields = words.next().unwrap_or_default();
                self.reports.insert(arm, Report::new(status, fields));
            }
            "@done" => return Ok(true),
            _ => {}
        }
        Ok(false)
    }
}

/// The report of one arm: `name=value` fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The exit status, as a shell gives it.
    pub status: usize,
    fields: BTreeMap<String, String>,
}

impl Report {
    /// Makes a report from an arm's exit status and its last line.
    pub fn new(status: usize, line: &str) -> Self {
        let fields = line.split_whitespace().filter_map(|field| field.split_once('='));
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self { status, fields: fields.map(owned).collect() }
    }

    /// A count, or `None` if the meter did not get that far.
    pub fn count(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// A field as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_serial_line() {
        let mut run = Run::default();
        assert!(!run.read("\u{1b}[2J@boot 6.1 #1 SMP PREEMPT").unwrap());
        assert!(!run.read("[    1.0] a kernel message").unwrap());
        assert!(!run.read("@end 3 0 deliveries=12 wait=1/49").unwrap());
        assert!(!run.read("@end 4 137 ").unwrap());
        assert!(run.read("@done").unwrap());
        assert_eq!(run.kernel, "6.1 #1 SMP PREEMPT");
        assert_eq!(run.reports[&3].count("deliveries"), Some(12));
        assert_eq!(run.reports[&3].count("wait"), None);
        assert_eq!(run.reports[&4], Report { status: 137, ..Report::default() });
    }
}
