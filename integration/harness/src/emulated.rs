//! Programs for other processors, under an emulator of such a processor's user mode (qemu-user).
//!
//! It writes signal frames itself: whether they fault, and whether the kernel's own fit, is shown
//! on real kernels only.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crate::artifacts::script;
use crate::programs::{Libc, build, comparable, cross_compiler};
use crate::{Run, need};

/// One processor, and the library for it.
pub struct Emulated {
    libc: Libc,
    emulator: String,
    cpu: &'static str,
    libraries: PathBuf,
    library: PathBuf,
}

impl Emulated {
    /// The processor `cpu`, of the emulator's list, for programs of `libc`. Builds the library.
    /// `None` if the emulator is missing; in CI it must be there.
    ///
    /// # Panics
    ///
    /// If the build fails, or if the emulator is missing in CI.
    #[must_use]
    pub fn new(libc: Libc, cpu: &'static str) -> Option<Self> {
        let architecture = libc.architecture();
        let emulator = format!("qemu-{architecture}");
        let found = need::installed(&emulator).is_some();
        if !need::required(found, &emulator, "apt-get install qemu-user") {
            return None;
        }
        let compiler = cross_compiler(libc);
        let folder = compiler.ancestors().nth(2).expect("bin is in a folder");
        Some(Self {
            libc,
            emulator,
            cpu,
            libraries: folder.join(format!("{architecture}-linux-gnu")),
            library: script("packaging/cross/build", architecture),
        })
    }

    /// The same programs and library on another processor of the list.
    #[must_use]
    pub fn on(&self, cpu: &'static str) -> Self {
        let (libraries, library) = (self.libraries.clone(), self.library.clone());
        Self { libc: self.libc, emulator: self.emulator.clone(), cpu, libraries, library }
    }

    /// The library.
    #[must_use]
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// A run of `program` without the library, with variables for it.
    #[must_use]
    pub fn run(&self, program: &Path, variables: &[(&str, &str)]) -> Run {
        let mut run = Run::new(&self.emulator).args(["-cpu", self.cpu, "-L"]).arg(&self.libraries);
        for (name, value) in variables {
            run = run.arg("-E").arg(format!("{name}={value}"));
        }
        run.arg(program).deadline(Duration::from_secs(60))
    }

    /// With the library, and `SIGWARD` set to `mode`.
    ///
    /// # Panics
    ///
    /// If the library's path is no text.
    #[must_use]
    pub fn with(&self, program: &Path, mode: &str, more: &[(&str, &str)]) -> Run {
        let library = self.library.to_str().expect("a path that is a text");
        self.run(program, &[&[("LD_PRELOAD", library), ("SIGWARD", mode)], more].concat())
    }

    /// Asserts that every comparable program prints the same and ends the same with the library
    /// as without. Those of `not_emulated` do so too, but not as they should; those of `left_out`
    /// do not end under the emulator.
    ///
    /// # Panics
    ///
    /// If it is not so.
    pub fn assert_no_difference(&self, not_emulated: &[&str], left_out: &[&str]) {
        let programs = comparable(&[self.libc]).expect("the programs' folder is there");
        assert!(programs.len() > 20, "{programs:?}");
        let next = AtomicUsize::new(0);
        // Most of them wait for something.
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some((name, libc)) = programs.get(next.fetch_add(1, Relaxed)) {
                        if !left_out.contains(&&**name) {
                            self.compare(name, *libc, not_emulated.contains(&&**name));
                        }
                    }
                });
            }
        });
    }

    fn compare(&self, name: &str, libc: Libc, idle: bool) {
        let program = build(name, libc).expect("it compiles");
        let without = self.run(&program, &[]).output().expect("it starts");
        assert_eq!([2, 99].contains(&without.code()), idle, "{name}: {without:?}");
        for mode in ["on", "auto"] {
            let with = self.with(&program, mode, &[]).output().expect("it starts");
            assert_eq!(with, without, "{name}, SIGWARD={mode}");
        }
    }

    /// Asserts that waits are libc's own, and that a wish for others is answered.
    ///
    /// # Panics
    ///
    /// If it is not so.
    pub fn assert_waits_are_libcs_own(&self) {
        let program = build("altstack_mmap", self.libc).expect("it compiles");
        let variables = [("SIGWARD_WAIT", "two-phase"), ("SIGWARD_LOG", "warn")];
        let said = self.with(&program, "on", &variables).output().expect("it starts");
        assert!(said.success(), "{said:?}");
        let why = "SIGWARD_WAIT=two-phase is not usable: this library has no waits to cure";
        assert!(said.stderr.contains(why), "{said:?}");
    }
}
