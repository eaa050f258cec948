//! The ways into the kernel, and calls through each, timed.

use std::arch::asm;
use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::time::Instant;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, alarm, fork};
use object::{Object, ObjectSymbol};
use sigward::sys::call;

use super::compat;

/// How often to call.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: u32,
    pub calls: u32,
}

/// Nanoseconds per call, one value a round; or why there are none.
pub type Rounds = Result<Vec<f64>, String>;

/// What was published for a path, in nanoseconds: on an i7-5500U, with page
/// table isolation and without.
#[derive(Clone, Copy)]
pub struct Published {
    pub isolated: f64,
    pub open: f64,
}

/// One way in.
pub struct Path {
    pub name: &'static str,
    /// What is called through it.
    pub call: &'static str,
    pub published: Option<Published>,
    pub measure: fn(Effort) -> Rounds,
}

/// The path that ratios refer to.
pub const REFERENCE: &str = "syscall";

/// All of them, in the order of the table.
pub const PATHS: &[Path] = &[
    Path { name: "libc", call: "getppid", published: None, measure: |effort| Ok(by_libc(effort)) },
    Path {
        name: REFERENCE,
        call: "getppid",
        published: Some(Published { isolated: 278.0, open: 103.0 }),
        measure: |effort| Ok(by_syscall(effort)),
    },
    Path {
        name: "int 0x80",
        call: "getppid",
        published: Some(Published { isolated: 498.0, open: 317.0 }),
        measure: by_int80,
    },
    Path {
        name: "vDSO",
        call: "clock_gettime",
        published: Some(Published { isolated: 37.0, open: 37.0 }),
        measure: by_vdso,
    },
    Path {
        // The figures of an emulated one. A native one, which old kernels
        // have, is as fast as `syscall`.
        name: "vsyscall",
        call: "gettimeofday",
        published: Some(Published { isolated: 692.0, open: 496.0 }),
        measure: by_vsyscall,
    },
    Path {
        name: "sysenter (32-bit)",
        call: "getppid",
        published: Some(Published { isolated: 338.0, open: 150.0 }),
        measure: compat::by_sysenter,
    },
    Path {
        name: "vDSO (32-bit)",
        call: "clock_gettime",
        published: Some(Published { isolated: 51.0, open: 51.0 }),
        measure: compat::by_vdso,
    },
];

fn timed<R>(effort: Effort, mut call: impl FnMut() -> R) -> Vec<f64> {
    let round = |_| {
        let start = Instant::now();
        for _ in 0..effort.calls {
            black_box(call());
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(effort.calls)
    };
    (0..effort.rounds).map(round).collect()
}

fn by_libc(effort: Effort) -> Vec<f64> {
    // SAFETY: getppid takes nothing and never fails.
    timed(effort, || unsafe { libc::getppid() })
}

fn by_syscall(effort: Effort) -> Vec<f64> {
    // SAFETY: as above.
    timed(effort, || unsafe { call::raw(libc::SYS_getppid, []) })
}

/// getppid through the 32-bit table, where it is number 64.
fn int80() -> c_int {
    let mut result: c_int = 64;
    // SAFETY: getppid takes nothing. The kernel may clear R8 to R11.
    unsafe {
        asm!(
            "int 0x80",
            inlateout("eax") result,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

fn by_int80(effort: Effort) -> Rounds {
    // SAFETY: getppid takes nothing and never fails.
    survives(|| int80() == unsafe { libc::getppid() })?;
    Ok(timed(effort, int80))
}

type Gettimeofday = unsafe extern "C" fn(*mut libc::timeval, *mut c_void) -> c_int;

fn by_vsyscall(effort: Effort) -> Rounds {
    const GETTIMEOFDAY: usize = 0xffff_ffff_ff60_0000;
    // SAFETY: where this address is mapped, the kernel's ABI has gettimeofday there.
    let gettimeofday = unsafe { std::mem::transmute::<usize, Gettimeofday>(GETTIMEOFDAY) };
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let mut call = || {
        // SAFETY: a live timeval and no time zone. In our own process only
        // after a child has survived it.
        unsafe { gettimeofday(&raw mut time, std::ptr::null_mut()) }
    };
    survives(|| call() == 0)?;
    Ok(timed(effort, call))
}

type ClockGettime = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;

/// The clock in the vDSO, of 64 or of 32 bits.
const CLOCK: &str = "__vdso_clock_gettime";

fn by_vdso(effort: Effort) -> Rounds {
    let (start, length) = vdso().ok_or("the kernel maps no vDSO")?;
    // SAFETY: the kernel's mapping: readable, and there as long as the process.
    let image = unsafe { std::slice::from_raw_parts(start as *const u8, length) };
    let at = start + clock_in(image)?;
    // SAFETY: the kernel's function of that name.
    let clock_gettime = unsafe { std::mem::transmute::<usize, ClockGettime>(at) };
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(timed(effort, || {
        // SAFETY: a live timespec.
        unsafe { clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) }
    }))
}

/// Where the vDSO lies, and its length.
fn vdso() -> Option<(usize, usize)> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    Some((start, usize::from_str_radix(end, 16).ok()?.checked_sub(start)?))
}

/// The offset of [`CLOCK`] in the image of a vDSO.
pub fn clock_in(image: &[u8]) -> Result<usize, String> {
    let parsed = object::File::parse(image).map_err(|error| format!("a strange vDSO: {error}"))?;
    let clock = parsed.dynamic_symbols().find(|symbol| symbol.name() == Ok(CLOCK));
    clock.map(|symbol| symbol.address() as usize).ok_or(format!("the vDSO has no {CLOCK}"))
}

/// Whether a child survives `attempt`, and it gives `true` there.
///
/// `attempt` is async-signal-safe: the process may have threads.
fn survives(attempt: impl FnOnce() -> bool) -> Result<(), String> {
    // SAFETY: the child only makes calls that are async-signal-safe.
    match unsafe { fork() }.map_err(|error| format!("fork failed: {error}"))? {
        ForkResult::Child => {
            alarm::set(5);
            let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
            let right = attempt();
            // SAFETY: ends the child without what `exit` would do twice.
            unsafe { libc::_exit(c_int::from(!right)) }
        }
        ForkResult::Parent { child } => match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, 0)) => Ok(()),
            Ok(WaitStatus::Signaled(_, signal, _)) => Err(death(signal)),
            Ok(_) => Err("it gave no right answer in a child".to_owned()),
            Err(error) => Err(format!("a child that tried it was lost: {error}")),
        },
    }
}

/// Why a child died, as far as its signal tells.
pub fn death(signal: Signal) -> String {
    let guess = match signal {
        Signal::SIGSYS => ": a seccomp filter forbids it",
        Signal::SIGSEGV => ": this kernel does not have it, or has it switched off",
        Signal::SIGILL => ": this processor does not have it",
        Signal::SIGALRM => ": it took too long",
        _ => "",
    };
    format!("a child that tried it died of {signal}{guess}")
}
