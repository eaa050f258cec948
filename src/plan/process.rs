//! What the plan asks of a process.

use core::fmt;

use super::Duty;
use crate::sys::errno::Errno;

/// What in a process makes our work dangerous or useless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A sanitizer is in the process, which defines this name.
    Sanitizer(&'static str),
    /// valgrind's tool keeps books of the program's memory.
    Valgrind,
    /// The program comes before us with a definition of this name.
    Overridden(&'static str),
    /// gVisor writes the signal frames, and knows no residency.
    Gvisor,
    /// This is no libc that we know.
    UnknownLibc,
    /// A seccomp filter kills for this system call.
    Killed(&'static str),
    /// A seccomp filter refuses this system call.
    Refused(&'static str, Errno),
    /// A seccomp filter is in place, and could not be tried out.
    Untried(Errno),
}

impl Obstacle {
    /// The most that may be done.
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
            Obstacle::Valgrind => f.write_str("valgrind keeps books of the program's memory"),
            Obstacle::Overridden(name) => write!(f, "the program defines {name} itself"),
            Obstacle::Gvisor => f.write_str("this is gVisor, which writes signal frames itself"),
            Obstacle::UnknownLibc => f.write_str("no libc that is known"),
            Obstacle::Killed(call) => write!(f, "a seccomp filter kills for {call}"),
            Obstacle::Refused(call, error) => {
                write!(f, "a seccomp filter refuses {call} ({error})")
            }
            Obstacle::Untried(error) => {
                write!(f, "a seccomp filter could not be tried out ({error})")
            }
        }
    }
}

/// Whose environment it is that holds the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// The program's user's.
    Trusted,
    /// That of a less privileged caller (`AT_SECURE`).
    Secure,
    /// It was not found: there is no libc that we know.
    Missing,
}

/// What is asked of a process, least costly first. Each question is asked at
/// most once, and only where its answer matters.
pub trait Process {
    /// Whose environment holds the settings.
    fn environment(&mut self) -> Environment;
    /// Whether valgrind runs it under a tool that keeps books of memory, as far
    /// as can be told without a look at the loaded objects.
    fn is_book_kept(&mut self) -> bool;
    /// The size of a signal frame by `AT_MINSIGSTKSZ`.
    fn told_frame(&mut self) -> Option<usize>;
    /// The size of a signal frame by CPUID.
    fn cpu_frame(&mut self) -> usize;
    /// Whether a seccomp filter is in place, or may be.
    fn is_filtered(&mut self) -> bool;
    /// The name by which a sanitizer is known to be there.
    fn sanitizer(&mut self) -> Option<&'static str>;
    /// Whether a tool of valgrind's that keeps books is there.
    fn has_book_keeper(&mut self) -> bool;
    /// The name that the program itself defines before us.
    fn overridden(&mut self) -> Option<&'static str>;
    /// Whether this is a libc that we know.
    fn knows_libc(&mut self) -> bool;
    /// What the filter in place has against our work.
    fn filter(&mut self) -> Option<Obstacle>;
    /// Whether the filter in place lets a line be written.
    ///
    /// # Errors
    /// Where that could not be tried out.
    fn may_write(&mut self) -> Result<bool, Errno>;
}

/// The answers of a [`Process`], known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whose environment holds the settings.
    pub environment: Environment,
    /// A tool of valgrind's keeps books of memory.
    pub book_keeper: bool,
    /// `AT_MINSIGSTKSZ`.
    pub told_frame: Option<usize>,
    /// The size of a signal frame by CPUID.
    pub cpu_frame: usize,
    /// A seccomp filter is in place.
    pub filtered: bool,
    /// The name by which a sanitizer is known to be there.
    pub sanitizer: Option<&'static str>,
    /// The name that the program itself defines before us.
    pub overridden: Option<&'static str>,
    /// This is a libc that we know.
    pub known_libc: bool,
    /// What the filter in place has against our work.
    pub filter: Option<Obstacle>,
    /// Whether the filter in place lets a line be written.
    pub may_write: Result<bool, Errno>,
}

impl Facts {
    /// A process with nothing in our way, and a frame of this size.
    #[must_use]
    pub const fn plain(told_frame: Option<usize>, cpu_frame: usize) -> Self {
        Facts {
            environment: Environment::Trusted,
            book_keeper: false,
            told_frame,
            cpu_frame,
            filtered: false,
            sanitizer: None,
            overridden: None,
            known_libc: true,
            filter: None,
            may_write: Ok(true),
        }
    }
}

impl Process for Facts {
    fn environment(&mut self) -> Environment {
        self.environment
    }
    fn is_book_kept(&mut self) -> bool {
        self.book_keeper
    }
    fn told_frame(&mut self) -> Option<usize> {
        self.told_frame
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
    fn has_book_keeper(&mut self) -> bool {
        self.book_keeper
    }
    fn overridden(&mut self) -> Option<&'static str> {
        self.overridden
    }
    fn knows_libc(&mut self) -> bool {
        self.known_libc
    }
    fn filter(&mut self) -> Option<Obstacle> {
        self.filter
    }
    fn may_write(&mut self) -> Result<bool, Errno> {
        self.may_write
    }
}
