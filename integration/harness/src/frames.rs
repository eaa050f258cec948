//! The meter: how many page faults does the kernel take while it writes a signal frame?
//!
//! It works from outside, on any program. ptrace stops a thread when a signal is about to
//! be delivered (signal-delivery-stop). The meter reads the thread's fault counters and
//! resumes it with `PTRACE_SINGLESTEP` and the signal: the kernel writes the frame and
//! stops the thread again before the handler's first instruction (`signal_delivered` in
//! `kernel/signal.c`). The difference of the counters is exactly the faults of that frame.
//!
//! It uses `PTRACE_SEIZE`, not `PTRACE_TRACEME`, because only that leaves group-stops
//! (SIGSTOP, job control) as they are for the program.
//!
//! # References
//! - ptrace(2), signal(7), proc(5)

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{self, Read};
use std::mem::{self, offset_of};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::deadman::DeadMan;
use crate::outcome::Outcome;

/// Where a signal frame was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FrameStack {
    /// On the thread's alternate signal stack.
    Altstack,
    /// On the stack that the thread was running on.
    Ordinary,
    /// Nowhere: the kernel could not write it and kills the program with SIGSEGV.
    Refused,
}

/// One signal delivery to a handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// The process (thread group).
    pub pid: i32,
    /// The thread.
    pub tid: i32,
    /// The thread's name.
    pub name: String,
    /// The signal's number.
    pub signal: i32,
    /// Page faults, minor and major, taken while the frame was written.
    pub faults: u64,
    /// Where the frame lies.
    pub stack: FrameStack,
}

/// A run under the meter.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Every delivery, in the order seen.
    pub frames: Vec<Frame>,
    /// Output and exit status of the first process. Output that was not piped is empty.
    pub outcome: Outcome,
}

impl Trace {
    /// The number of frames that faulted.
    #[must_use]
    pub fn faulting(&self) -> usize {
        self.frames.iter().filter(|frame| frame.faults > 0).count()
    }

    /// The frames written to alternate stacks.
    pub fn on_altstack(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter().filter(|frame| frame.stack == FrameStack::Altstack)
    }
}

/// Runs `command` until it and all its descendants have ended.
///
/// # Errors
///
/// If the program cannot be started or traced; `TimedOut` if the deadline passed and
/// everything was killed.
///
/// # Panics
///
/// If a thread of the meter panics.
pub fn measure(command: Command, deadline: Duration) -> io::Result<Trace> {
    // ptrace and __WNOTHREAD apply to a thread, not to a process. With a thread of our
    // own we do not wait for the children of other tests, and leave no tracees behind
    // (EXITKILL).
    thread::spawn(move || measure_here(command, deadline)).join().expect("the tracer lives")
}

fn measure_here(mut command: Command, deadline: Duration) -> io::Result<Trace> {
    // SAFETY: traceme is one system call.
    unsafe {
        command.pre_exec(|| Ok(nix::sys::ptrace::traceme()?));
    }
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().map(drain);
    let stderr = child.stderr.take().map(drain);
    let root = child.id() as i32;

    let tasks = Arc::new(Mutex::new(BTreeSet::from([root])));
    let known = Arc::clone(&tasks);
    let deadman = DeadMan::arm(deadline, move || {
        for &tid in known.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // SAFETY: kill takes no pointers; the tids are our own unreaped tracees.
            unsafe { libc::kill(tid, libc::SIGKILL) };
        }
    });

    let mut tracer = Tracer { root, tasks, stepping: HashMap::new(), frames: Vec::new() };
    tracer.seize()?;
    let status = tracer.follow()?;
    let late = deadman.disarm();
    let outcome = Outcome {
        stdout: stdout.map_or_else(String::new, collect),
        stderr: stderr.map_or_else(String::new, collect),
        status,
    };
    if late {
        let words = format!("killed after {deadline:?}: {outcome:?}");
        return Err(io::Error::new(io::ErrorKind::TimedOut, words));
    }
    Ok(Trace { frames: tracer.frames, outcome })
}

type Drain = thread::JoinHandle<Vec<u8>>;

fn drain(mut pipe: impl Read + Send + 'static) -> Drain {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What could be read is worth more than the error.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

fn collect(drain: Drain) -> String {
    String::from_utf8_lossy(&drain.join().unwrap_or_default()).into_owned()
}

/// A delivery between its two stops.
struct Delivery {
    pid: i32,
    name: String,
    signal: i32,
    faults_before: u64,
    /// The stack pointer.
    before: u64,
}

struct Tracer {
    root: i32,
    tasks: Arc<Mutex<BTreeSet<i32>>>,
    stepping: HashMap<i32, Delivery>,
    frames: Vec<Frame>,
}

impl Tracer {
    /// Turns the child's `PTRACE_TRACEME` into a `PTRACE_SEIZE`: at its exec stop we
    /// detach with a SIGSTOP, which holds it until it is seized.
    fn seize(&self) -> io::Result<()> {
        let stop = i64::from(libc::SIGSTOP);
        let options = libc::PTRACE_O_EXITKILL
            | libc::PTRACE_O_TRACECLONE
            | libc::PTRACE_O_TRACEFORK
            | libc::PTRACE_O_TRACEVFORK
            | libc::PTRACE_O_TRACEEXEC;
        wait(self.root, libc::WUNTRACED)?;
        ptrace(libc::PTRACE_DETACH, self.root, stop)?;
        wait(self.root, libc::WUNTRACED)?;
        ptrace(libc::PTRACE_SEIZE, self.root, i64::from(options))?;
        // SAFETY: kill takes no pointers.
        unsafe { libc::kill(self.root, libc::SIGCONT) };
        Ok(())
    }

    /// Handles stops until no tracee is left. Returns the first process's status.
    fn follow(&mut self) -> io::Result<ExitStatus> {
        let mut end = ExitStatus::from_raw(0);
        loop {
            let (tid, status) = match wait(-1, libc::__WALL | libc::__WNOTHREAD) {
                Ok(event) => event,
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(end),
                Err(error) => return Err(error),
            };
            if libc::WIFSTOPPED(status) {
                self.tasks().insert(tid);
                let (request, argument) = self.stopped(tid, status);
                // ESRCH: it was killed meanwhile; its end is reported next.
                let _ = ptrace(request, tid, i64::from(argument));
            } else {
                self.tasks().remove(&tid);
                self.stepping.remove(&tid);
                if tid == self.root {
                    end = ExitStatus::from_raw(status);
                }
            }
        }
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, BTreeSet<i32>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How to resume a stopped thread: the ptrace request and the signal to deliver.
    fn stopped(&mut self, tid: i32, status: i32) -> (libc::c_uint, i32) {
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            0 => {}
            libc::PTRACE_EVENT_STOP if signal != libc::SIGTRAP => return (libc::PTRACE_LISTEN, 0),
            libc::PTRACE_EVENT_EXEC => {
                // The other threads are gone; this one may have changed its tid.
                self.stepping.remove(&tid);
                return (libc::PTRACE_CONT, 0);
            }
            _ => return (libc::PTRACE_CONT, 0),
        }

        if let Some(delivery) = self.stepping.remove(&tid) {
            if signal == libc::SIGTRAP {
                self.delivered(tid, delivery);
                return (libc::PTRACE_CONT, 0);
            }
            // The frame could not be written: this is the resulting SIGSEGV.
            self.frames.push(delivery.frame(tid, 0, FrameStack::Refused));
        }
        match Delivery::begin(tid, signal) {
            Some(delivery) => {
                self.stepping.insert(tid, delivery);
                (libc::PTRACE_SINGLESTEP, signal)
            }
            None => (libc::PTRACE_CONT, signal),
        }
    }

    /// The thread is at the handler's first instruction.
    fn delivered(&mut self, tid: i32, delivery: Delivery) {
        let Some(faults_after) = faults(tid) else {
            return;
        };
        let faults = faults_after - delivery.faults_before;
        // None: another thread has just set the signal to SIG_IGN, and the step executed
        // an instruction of the program.
        if let Some(stack) = delivery.frame_stack(tid) {
            self.frames.push(delivery.frame(tid, faults, stack));
        }
    }
}

impl Delivery {
    /// None if the signal has no handler, or the thread is gone.
    fn begin(tid: i32, signal: i32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
        let field = |key| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let caught = u64::from_str_radix(field("SigCgt:")?, 16).ok()?;
        if caught >> (signal - 1) & 1 == 0 {
            return None;
        }
        Some(Self {
            pid: field("Tgid:")?.parse().ok()?,
            name: field("Name:")?.to_owned(),
            signal,
            faults_before: faults(tid)?,
            before: registers(tid)?.rsp,
        })
    }

    fn frame(self, tid: i32, faults: u64, stack: FrameStack) -> Frame {
        Frame { pid: self.pid, tid, name: self.name, signal: self.signal, faults, stack }
    }
}

/// Minor and major faults of a thread so far (fields 10 and 12 of its `stat`).
fn faults(tid: i32) -> Option<u64> {
    // Through task/, because /proc/TID/stat sums up all threads.
    let stat = fs::read_to_string(format!("/proc/{tid}/task/{tid}/stat")).ok()?;
    // The name, field 2, may contain blanks and parentheses.
    let mut fields = stat.get(stat.rfind(')')? + 2..)?.split(' ');
    let minor: u64 = fields.nth(10 - 3)?.parse().ok()?;
    let major: u64 = fields.nth(12 - 11)?.parse().ok()?;
    Some(minor + major)
}

/// The registers of a stopped thread; those of a 32-bit program in their 64-bit places.
fn registers(tid: i32) -> Option<libc::user_regs_struct> {
    // SAFETY: a user_regs_struct consists of integers.
    let mut regs: libc::user_regs_struct = unsafe { mem::zeroed() };
    // SAFETY: GETREGS writes one user_regs_struct through data.
    let done = unsafe { libc::ptrace(libc::PTRACE_GETREGS, tid, 0, &raw mut regs) };
    (done == 0).then_some(regs)
}

/// Reads a word of `N` bytes from a thread's memory.
fn peek<const N: usize>(tid: i32, address: u64) -> Option<u64> {
    let mut word = 0_u64;
    let local = libc::iovec { iov_base: (&raw mut word).cast(), iov_len: N };
    let remote =
        libc::iovec { iov_base: ptr::without_provenance_mut(address as usize), iov_len: N };
    // SAFETY: the local vector is part of `word`; the kernel checks the remote one.
    let read = unsafe { libc::process_vm_readv(tid, &raw const local, 1, &raw const remote, 1, 0) };
    (read == N as isize).then_some(word)
}

impl Delivery {
    /// Where the frame lies of a thread that is at its handler's first instruction.
    ///
    /// The kernel passes the signal in rdi and the `ucontext_t`, which names the alternate
    /// stack, in rdx. None if this is not the entry of a handler of this signal.
    fn frame_stack(&self, tid: i32) -> Option<FrameStack> {
        /// The code segment of 32-bit programs.
        const USER32: u64 = 0x23;
        let regs = registers(tid)?;
        if regs.cs == USER32 {
            return (regs.rax == self.signal as u64).then(|| self.frame_stack32(tid, &regs))?;
        }
        if regs.rdi != self.signal as u64 {
            return None;
        }
        let stack = regs.rdx + offset_of!(libc::ucontext_t, uc_stack) as u64;
        let base = peek::<8>(tid, stack + offset_of!(libc::stack_t, ss_sp) as u64)?;
        let size = peek::<8>(tid, stack + offset_of!(libc::stack_t, ss_size) as u64)?;
        Some(which(regs.rsp, base, size))
    }

    /// The same for a 32-bit program, which gets the signal in eax, and the `ucontext_t` in ecx if
    /// the handler was installed with `SA_SIGINFO`. Otherwise the frame does not name the stack:
    /// it is an alternate one if it is not right below the place where the thread was.
    fn frame_stack32(&self, tid: i32, regs: &libc::user_regs_struct) -> Option<FrameStack> {
        /// More than any frame takes.
        const NEAR: u64 = 64 << 10;
        if regs.rcx == 0 {
            let below = self.before.checked_sub(regs.rsp).is_some_and(|depth| depth < NEAR);
            return Some(if below { FrameStack::Ordinary } else { FrameStack::Altstack });
        }
        // uc_flags, uc_link; ss_sp, ss_flags, ss_size.
        Some(which(regs.rsp, peek::<4>(tid, regs.rcx + 8)?, peek::<4>(tid, regs.rcx + 16)?))
    }
}

/// The stack that `sp` is on, if the alternate one has this base and size.
fn which(sp: u64, base: u64, size: u64) -> FrameStack {
    let inside = sp.checked_sub(base).is_some_and(|depth| depth > 0 && depth <= size);
    if inside { FrameStack::Altstack } else { FrameStack::Ordinary }
}

fn ptrace(request: libc::c_uint, tid: i32, data: i64) -> io::Result<()> {
    // SAFETY: no request made here takes a pointer: data is a signal or options.
    let done = unsafe { libc::ptrace(request, tid, 0_usize, data) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn wait(pid: i32, options: i32) -> io::Result<(i32, i32)> {
    let mut status = 0;
    loop {
        // SAFETY: status outlives the call.
        let tid = unsafe { libc::waitpid(pid, &raw mut status, options) };
        if tid >= 0 {
            return Ok((tid, status));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
