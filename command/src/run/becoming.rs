//! Becoming the program.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::execve;

use crate::environment::ProgramEnvironment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::program::SHELL;

/// All that execve(2) takes.
pub struct Prepared {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Prepared {
    /// # Errors
    /// If an argument contains a NUL byte.
    pub fn new(
        program: PathBuf,
        command: &[OsString],
        environment: ProgramEnvironment,
    ) -> Result<Self, Failure> {
        let name = program.display().to_string();
        let c_strings = |strings: Vec<OsString>| -> Result<Vec<CString>, _> {
            strings.into_iter().map(|string| CString::new(string.into_vec())).collect()
        };
        let prepared = || {
            Ok::<_, std::ffi::NulError>(Self {
                path: CString::new(program.into_os_string().into_vec())?,
                arguments: c_strings(command.to_vec())?,
                environment: c_strings(environment.into_entries())?,
            })
        };
        prepared().map_err(|_| Failure::new(format!("{name}: a NUL byte in an argument")))
    }

    /// `execve`, and the shell for files that the kernel cannot execute, as `execvp` does.
    /// Not `std::process::Command`, which empties the signal mask.
    pub fn become_it(mut self) -> Failure {
        let Err(mut error) = execve(&self.path, &self.arguments, &self.environment);
        if error == Errno::ENOEXEC {
            let shell = CString::new(SHELL).unwrap_or_default();
            self.arguments.splice(..1, [shell.clone(), self.path.clone()]);
            Err(error) = execve(&shell, &self.arguments, &self.environment);
        }
        // The program itself was found, so what is missing is what the kernel starts for it.
        let why = match error {
            Errno::ENOENT => "its loader or interpreter is missing",
            _ => error.desc(),
        };
        let name = self.path.to_string_lossy().into_owned();
        Failure::new(format!("{name}: {why}")).exit(Exit::NotExecutable)
    }
}
