//! `sigward run --init`: stays as the program's parent, and does what is expected of the first
//! process of a container: passes signals on, reaps orphans, ends when the program does.
//!
//! `signals.rs` waits for signals and knows their names, `terminal.rs` has job control.

mod signals;
mod terminal;

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::time::{Duration, Instant};

use clap::Args;
use libc::pid_t;

use super::exit::Exit;
use super::failure::Failure;
use super::run::becoming::Prepared;
use super::start;
use signals::{Received, Rewrite, Signal};
use terminal::Terminal;

/// What `--init` does, and its options.
#[derive(Args)]
#[command(next_help_heading = "Options for the first process of a container")]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent switch")]
pub struct Init {
    /// Stay as the program's parent: pass signals on, reap orphans, end when it ends
    ///
    /// Every signal but KILL, STOP, CHLD and 32 to 34 goes to the program. It gets the terminal.
    /// The exit code is the program's, or 128 + N if signal N ended it.
    #[arg(long = "init", id = "init")]
    pub is_wanted: bool,
    /// Send signals to the program's process group
    #[arg(short, long, requires = "init")]
    group: bool,
    /// Adopt orphans without being the first process
    #[arg(short, long, requires = "init")]
    subreaper: bool,
    /// Get this signal when the parent of sigward ends
    #[arg(short, long = "parent-death-signal", requires = "init", value_name = "SIG")]
    parent_death_signal: Option<Signal>,
    /// Send signal B where A was received; 0 as B sends none
    #[arg(long, requires = "init", value_name = "A:B")]
    rewrite: Vec<Rewrite>,
    /// Kill the program if it still runs this long after a TERM, INT or QUIT
    #[arg(long, requires = "init", value_name = "SECONDS")]
    grace: Option<u32>,
    /// Exit with 0 if the program exits with this code
    #[arg(short = 'e', long = "expect", requires = "init", value_name = "CODE")]
    expected: Vec<u8>,
}

impl Init {
    /// Runs the program to its end.
    ///
    /// # Errors
    /// If no process can be made.
    pub fn supervise(&self, program: Prepared) -> Result<Exit, Failure> {
        let mask = signals::block_all();
        let disposition = set_disposition(libc::SIGCHLD, libc::SIG_DFL);
        self.arrange();
        let terminal = Terminal::controlling();
        // A job in the background does not take the terminal away from others.
        let gets_terminal = terminal.filter(|it| it.is_with(terminal::own_group()));
        // SAFETY: there is one thread.
        let child = unsafe { libc::fork() };
        if child < 0 {
            let error = std::io::Error::last_os_error();
            return Err(Failure::new(format!("cannot make a process for the program: {error}")));
        }
        if child == 0 {
            // SAFETY: plain calls.
            let own = unsafe {
                libc::setpgid(0, 0);
                libc::getpid()
            };
            if let Some(terminal) = gets_terminal {
                terminal.give(own);
            }
            set_disposition(libc::SIGCHLD, disposition);
            start::restore_sigpipe();
            signals::set_mask(mask);
            let exit = program.become_it().report();
            // SAFETY: ends the process without the parent's exit handlers.
            unsafe { libc::_exit(exit.code()) }
        }
        // In both, so that neither depends on the other having run.
        // SAFETY: a plain call.
        unsafe { libc::setpgid(child, child) };
        drop(program);
        // SAFETY: a plain call. The arguments and all that was read for them are freed.
        unsafe { libc::malloc_trim(0) };
        drop_file_pages();
        let supervisor = Supervisor { init: self, child, terminal, deadline: None };
        Ok(Exit::Program(self.exit_code(supervisor.watch())))
    }

    fn arrange(&self) {
        if self.subreaper {
            // SAFETY: a plain call.
            unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
        }
        if let Some(Signal(signal)) = self.parent_death_signal {
            // SAFETY: plain calls. The parent may have ended before the second.
            unsafe {
                let parent = libc::getppid();
                libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0);
                if libc::getppid() != parent {
                    libc::raise(signal);
                }
            }
        }
    }

    /// The exit code for a wait status, as a shell has it.
    fn exit_code(&self, status: c_int) -> u8 {
        if libc::WIFSIGNALED(status) {
            return (128 + libc::WTERMSIG(status)) as u8;
        }
        let code = libc::WEXITSTATUS(status) as u8;
        if self.expected.contains(&code) { 0 } else { code }
    }
}

/// Gives back the pages of this command's file that only the start needed. The kernel reads them
/// again where they are used.
fn drop_file_pages() {
    unsafe extern "C" fn drop_pages(
        object: *mut libc::dl_phdr_info,
        _: libc::size_t,
        _: *mut c_void,
    ) -> c_int {
        // SAFETY: the loader describes an object and its headers.
        let (start, headers) = unsafe {
            let object = &*object;
            let count = object.dlpi_phnum.into();
            (object.dlpi_addr, std::slice::from_raw_parts(object.dlpi_phdr, count))
        };
        for header in headers {
            if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0 {
                let page = sigward::os::page::size() as u64;
                let first = (start + header.p_vaddr) / page * page;
                let length = start + header.p_vaddr + header.p_memsz - first;
                // SAFETY: these pages are never written, so the file has what they hold.
                unsafe { libc::madvise(first as *mut _, length as usize, libc::MADV_DONTNEED) };
            }
        }
        1 // only the first object, which is the command
    }
    // SAFETY: the callback above takes no data.
    unsafe { libc::dl_iterate_phdr(Some(drop_pages), ptr::null_mut()) };
}

/// One program that runs.
struct Supervisor<'a> {
    init: &'a Init,
    child: pid_t,
    terminal: Option<Terminal>,
    /// When the program is killed.
    deadline: Option<Instant>,
}

impl Supervisor<'_> {
    /// Returns the program's wait status.
    fn watch(mut self) -> c_int {
        loop {
            if let Some(status) = self.reap() {
                if let Some(terminal) = self.terminal.filter(|it| it.is_with(self.child)) {
                    terminal.give(terminal::own_group());
                }
                return status;
            }
            let limit = self.deadline.map(|at| at.saturating_duration_since(Instant::now()));
            match signals::wait(limit) {
                Some(received) if received.is_for_the_program() => self.pass_on(received),
                None if limit == Some(Duration::ZERO) => {
                    self.deadline = None;
                    self.send(libc::SIGKILL);
                }
                _ => {}
            }
        }
    }

    /// Reaps every child that has ended; the program's status, if it is among them.
    fn reap(&self) -> Option<c_int> {
        let mut ended = None;
        loop {
            let mut status = 0;
            let options = libc::WNOHANG | libc::WUNTRACED | libc::__WALL;
            // SAFETY: `status` has room for it.
            let child = unsafe { libc::waitpid(-1, &raw mut status, options) };
            if child <= 0 {
                return ended;
            }
            if child != self.child {
                continue;
            }
            if libc::WIFSTOPPED(status) {
                self.stop_with_the_program();
            } else {
                ended = Some(status);
            }
        }
    }

    /// The shell that started us waits for us, not for the program.
    fn stop_with_the_program(&self) {
        if let Some(terminal) = self.terminal.filter(|_| terminal::has_job_control()) {
            if terminal.is_with(self.child) {
                terminal.give(terminal::own_group());
            }
            terminal::stop_job();
        }
    }

    fn pass_on(&mut self, mut received: Received) {
        let number = received.number;
        if number == libc::SIGCONT
            && let Some(terminal) = self.terminal.filter(|it| it.is_with(terminal::own_group()))
        {
            terminal.give(self.child);
            // What the terminal stopped is a group.
            // SAFETY: a plain call.
            unsafe { libc::kill(-self.child, libc::SIGCONT) };
            return;
        }
        if matches!(number, libc::SIGTERM | libc::SIGINT | libc::SIGQUIT) {
            let grace = self.init.grace.map(|seconds| Duration::from_secs(seconds.into()));
            self.deadline = self.deadline.or_else(|| Instant::now().checked_add(grace?));
        }
        let rewrite = self.init.rewrite.iter().find(|rewrite| rewrite.from == Signal(number));
        let Some(Signal(number)) = rewrite.map_or(Some(Signal(number)), |rewrite| rewrite.to)
        else {
            return;
        };
        if self.init.group || !received.queue(self.child, number) {
            self.send(number);
        }
    }

    fn send(&self, signal: c_int) {
        // SAFETY: plain calls. The child is not reaped, so its number is its own.
        unsafe {
            if !self.init.group || libc::kill(-self.child, signal) != 0 {
                libc::kill(self.child, signal);
            }
        }
    }
}

/// Sets a disposition that runs no code, and returns the old one.
fn set_disposition(signal: c_int, handler: libc::sighandler_t) -> libc::sighandler_t {
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all zeroes are a valid action, which then gets its handler.
    let mut new: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    new.sa_sigaction = handler;
    // SAFETY: the new action, and room for the old one.
    if unsafe { libc::sigaction(signal, ptr::from_ref(&new), old.as_mut_ptr()) } != 0 {
        return libc::SIG_DFL;
    }
    // SAFETY: filled by the call.
    unsafe { old.assume_init() }.sa_sigaction
}
