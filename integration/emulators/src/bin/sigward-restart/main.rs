//! Runs a program as on a kernel that loses system call arguments at a restart.
//!
//! The defect (FreeBSD/amd64 up to 9, id `freebsd-restart-r10`): a call that was
//! entered by the SYSCALL instruction and is restarted by the kernel gets its
//! 4th argument (R10; on 9.x R8 and R9 too) replaced by garbage. A call entered
//! by INT 0x80 is restarted correctly.
//!
//! The supervisor follows every thread and child of the program with ptrace.
//! It sets no stop at system calls: an interrupted call is seen where it is
//! interrupted, in the stop of the signal, and the supervisor makes the
//! interruptions that FreeBSD makes itself: a fork pulls all other threads of
//! the process to the kernel's boundary. So it is fast, and it is exact about
//! what is restarted:
//!
//! - No handler is going to run: the kernel restarts what says `-ERESTART*`.
//!   The registers are overwritten in the stop.
//! - A handler is going to run: one step into it makes the kernel decide. Its
//!   frame holds either the call's number and the address of the instruction
//!   (a restart: the registers are overwritten *in the frame*) or `-EINTR`.
//!
//! Not seen: the rare restarts without any stop, after a wake-up whose cause
//! another thread took away. They are restarted correctly, which only makes
//! the emulation milder.

mod defect;
mod supervisor;

use std::process::ExitCode;

use clap::Parser;

/// The command line.
#[derive(Parser)]
#[command(about, trailing_var_arg = true)]
struct Arguments {
    /// Registers that a restart loses
    #[arg(long, value_enum, default_value_t = defect::Lost::R10)]
    lose: defect::Lost,
    /// What is found in them afterwards
    #[arg(long, value_enum, default_value_t = defect::Garbage::Kernel)]
    garbage: defect::Garbage,
    /// System calls that suffer, by number; default: all but futex and the
    /// clone family, which FreeBSD does not restart either
    #[arg(long, value_delimiter = ',')]
    calls: Vec<i64>,
    /// Do not interrupt the other threads of a process that forks
    #[arg(long)]
    no_boundary: bool,
    /// Lose nothing; count only
    #[arg(long)]
    healthy: bool,
    /// Write the counts to this file, one "name value" a line
    #[arg(long)]
    report: Option<std::path::PathBuf>,
    /// The program and its arguments
    #[arg(required = true)]
    command: Vec<std::ffi::OsString>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let defect = defect::Defect {
        lost: arguments.lose,
        garbage: arguments.garbage,
        calls: arguments.calls,
        healthy: arguments.healthy,
    };
    match supervisor::run(&arguments.command, defect, !arguments.no_boundary) {
        Ok(outcome) => {
            let counts = outcome.counts.to_string();
            match &arguments.report {
                Some(path) => {
                    if let Err(error) = std::fs::write(path, counts) {
                        eprintln!("sigward-restart: {}: {error}", path.display());
                        return ExitCode::from(125);
                    }
                }
                None => eprint!("{counts}"),
            }
            ExitCode::from(outcome.status)
        }
        Err(error) => {
            eprintln!("sigward-restart: {error}");
            ExitCode::from(125)
        }
    }
}
