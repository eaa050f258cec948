//! The questions about a process that the plan depends on.

use core::fmt;

use super::parts::Duty;
use super::reason::Reason;
use crate::os::errno::Errno;

/// What in a process makes our work dangerous or useless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A sanitizer is in the process; it defines this name.
    Sanitizer(&'static str),
    /// A valgrind tool tracks the program's memory.
    Valgrind,
    /// The program defines this name, ahead of us.
    Overridden(&'static str),
    /// gVisor writes the signal frames, and residency means nothing to it.
    Gvisor,
    /// The libc is unknown.
    UnknownLibc,
    /// A seccomp filter kills the process for this system call.
    Killed(&'static str),
    /// A seccomp filter refuses this system call.
    Refused(&'static str, Errno),
    /// A seccomp filter is in place and could not be tried out.
    Untried(Errno),
}

impl Obstacle {
    /// The reason without its details.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Obstacle::Sanitizer(_) => Reason::Sanitizer,
            Obstacle::Valgrind => Reason::Valgrind,
            Obstacle::Overridden(_) => Reason::Overridden,
            Obstacle::Gvisor => Reason::Gvisor,
            Obstacle::UnknownLibc => Reason::UnknownLibc,
            Obstacle::Killed(_) => Reason::FilterKills,
            Obstacle::Refused(..) => Reason::FilterRefuses,
            Obstacle::Untried(_) => Reason::FilterNotTried,
        }
    }

    /// The most that may still be done.
    #[must_use]
    pub const fn leaves(self) -> Duty {
        match self {
            Obstacle::Gvisor | Obstacle::UnknownLibc => Duty::Observe,
            _ => Duty::Inert,
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Sanitizer(name) => write!(f, "a sanitizer is in the process ({name})"),
            Obstacle::Valgrind => f.write_str("valgrind tracks the program's memory"),
            Obstacle::Overridden(name) => write!(f, "the program defines {name} itself"),
            Obstacle::Gvisor => f.write_str("this is gVisor, which writes signal frames itself"),
            Obstacle::UnknownLibc => f.write_str("the libc is unknown"),
            Obstacle::Killed(call) => {
                write!(f, "a seccomp filter kills the process when it calls {call}")
            }
            Obstacle::Refused(call, error) => {
                write!(f, "a seccomp filter refuses {call} ({error})")
            }
            Obstacle::Untried(error) => {
                write!(f, "a seccomp filter could not be tried out ({error})")
            }
        }
    }
}

/// Whose environment holds the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// The user's who runs the program.
    Trusted,
    /// A less privileged caller's (`AT_SECURE`).
    Secure,
    /// Not found, because the libc is unknown.
    Missing,
}

/// Questions about a process, cheapest first. Each is asked at most once, and
/// only if its answer matters.
pub trait Process {
    /// Whose environment holds the settings.
    fn environment(&mut self) -> Environment;
    /// Whether valgrind runs it under a tool that tracks memory, as far as that
    /// can be found out without looking at the loaded objects.
    fn runs_under_valgrind_tool(&mut self) -> bool;
    /// The size of a signal frame according to `AT_MINSIGSTKSZ`.
    fn kernel_frame(&mut self) -> Option<usize>;
    /// The size of a signal frame according to CPUID.
    fn cpu_frame(&mut self) -> usize;
    /// Whether a seccomp filter is in place, or may be.
    fn is_filtered(&mut self) -> bool;
    /// A name that shows that a sanitizer is in the process.
    fn sanitizer(&mut self) -> Option<&'static str>;
    /// Whether a valgrind tool that tracks memory is in the process.
    fn has_valgrind_tool(&mut self) -> bool;
    /// A hooked name that the program itself defines, ahead of us.
    fn overridden(&mut self) -> Option<&'static str>;
    /// Whether the libc is known.
    fn is_libc_known(&mut self) -> bool;
    /// Whether the program relies on the place of the stack that it sets: as a
    /// collector of garbage does that looks for roots there.
    fn relies_on_place(&mut self) -> bool;
    /// What makes the filter in place prevent our work, if anything.
    fn filter(&mut self) -> Option<Obstacle>;
    /// Whether the filter in place allows a line to be written.
    ///
    /// # Errors
    /// If that could not be tried out.
    fn may_write(&mut self) -> Result<bool, Errno>;
}

/// The answers of a [`Process`], known in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
pub struct Facts {
    /// Whose environment holds the settings.
    pub environment: Environment,
    /// Whether a valgrind tool tracks memory.
    pub valgrind_tool: bool,
    /// `AT_MINSIGSTKSZ`.
    pub kernel_frame: Option<usize>,
    /// The size of a signal frame according to CPUID.
    pub cpu_frame: usize,
    /// Whether a seccomp filter is in place.
    pub filtered: bool,
    /// A name that shows that a sanitizer is in the process.
    pub sanitizer: Option<&'static str>,
    /// A hooked name that the program itself defines, ahead of us.
    pub overridden: Option<&'static str>,
    /// Whether the libc is known.
    pub known_libc: bool,
    /// Whether the program relies on the place of the stack that it sets.
    pub relies_on_place: bool,
    /// What makes the filter in place prevent our work, if anything.
    pub filter: Option<Obstacle>,
    /// Whether the filter in place allows a line to be written.
    pub may_write: Result<bool, Errno>,
}

impl Facts {
    /// A process without obstacles, with frames of this size.
    #[must_use]
    pub const fn plain(kernel_frame: Option<usize>, cpu_frame: usize) -> Self {
        Facts {
            environment: Environment::Trusted,
            valgrind_tool: false,
            kernel_frame,
            cpu_frame,
            filtered: false,
            sanitizer: None,
            overridden: None,
            known_libc: true,
            relies_on_place: false,
            filter: None,
            may_write: Ok(true),
        }
    }
}

impl Process for Facts {
    fn environment(&mut self) -> Environment {
        self.environment
    }
    fn runs_under_valgrind_tool(&mut self) -> bool {
        self.valgrind_tool
    }
    fn kernel_frame(&mut self) -> Option<usize> {
        self.kernel_frame
    }
    fn cpu_frame(&mut self) -> usize {
        self.cpu_frame
    }
    fn is_filtered(&mut self) -> bool {
        self.filtered
    }
    fn sanitizer(&mut self) -> Option<&'static str> {
        self.sanitizer
    }
    fn has_valgrind_tool(&mut self) -> bool {
        self.valgrind_tool
    }
    fn overridden(&mut self) -> Option<&'static str> {
        self.overridden
    }
    fn is_libc_known(&mut self) -> bool {
        self.known_libc
    }
    fn relies_on_place(&mut self) -> bool {
        self.relies_on_place
    }
    fn filter(&mut self) -> Option<Obstacle> {
        self.filter
    }
    fn may_write(&mut self) -> Result<bool, Errno> {
        self.may_write
    }
}
