//! Runs a program as on a kernel that loses system call arguments at a restart.
//!
//! The defect (FreeBSD/amd64 up to 9, id `freebsd-restart-r10`): a call entered by the
//! SYSCALL instruction and restarted by the kernel gets garbage instead of its 4th
//! argument (R10; on 9.x also R8 and R9). A call entered by INT 0x80 is restarted
//! correctly.
//!
//! The supervisor follows every thread and child of the program with ptrace. It does not
//! stop the program at system calls: it sees an interrupted call in the stop for the
//! signal. It also makes the interruptions that FreeBSD makes itself: a fork pulls all
//! other threads of the process to the kernel's boundary. So it is fast, and it knows
//! exactly what is restarted:
//!
//! - If no handler will run, the kernel restarts a call whose result is `-ERESTART*`.
//!   The registers are overwritten in the stop.
//! - If a handler will run, one step into it makes the kernel decide. The handler's
//!   frame then contains either the call's number and the address of the instruction
//!   (a restart: the registers are overwritten *in the frame*) or `-EINTR`.
//!
//! It does not see the rare restarts without a stop, after a wake-up whose cause another
//! thread removed. Those are restarted correctly, which only makes the emulation milder.

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
    /// Their content afterwards
    #[arg(long, value_enum, default_value_t = defect::Garbage::Kernel)]
    garbage: defect::Garbage,
    /// System calls that are affected, by number; by default all except futex and the
    /// clone family, which FreeBSD does not restart either
    #[arg(long, value_delimiter = ',')]
    calls: Vec<i64>,
    /// Do not interrupt the other threads of a process that forks
    #[arg(long)]
    no_boundary: bool,
    /// Lose nothing; only count
    #[arg(long)]
    healthy: bool,
    /// Write the counts to this file, one "name value" per line
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
