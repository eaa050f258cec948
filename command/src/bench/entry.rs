//! The ways into the kernel, and timed calls through each.

use std::arch::asm;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use clap::Args;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, alarm, fork};
use object::{Object, ObjectSymbol};
use sigward::os::call;

use super::compat;

/// How often to call.
#[derive(Args, Clone, Copy)]
pub struct Effort {
    /// Rounds per path; the table shows their minimum and median
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rounds: u32,
    /// Calls in a round
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub calls: u32,
}

/// Nanoseconds per call, one value per round; or why there are none.
pub type Rounds = Result<Vec<f64>, String>;

/// One way into the kernel.
pub struct Path {
    pub name: &'static str,
    /// The function that is called through it.
    pub call: &'static str,
    /// Published figures in nanoseconds: on an i7-5500U, with page table isolation and
    /// without.
    pub published: [Option<f64>; 2],
    pub measure: fn(Effort) -> Rounds,
}

/// Ratios are relative to this path.
pub const REFERENCE: &str = "syscall";

const fn path(
    name: &'static str,
    call: &'static str,
    published: [Option<f64>; 2],
    measure: fn(Effort) -> Rounds,
) -> Path {
    Path { name, call, published, measure }
}

/// All of them, in the order of the table.
pub const PATHS: &[Path] = &[
    path("libc", "getppid", [None, None], |effort| {
        // SAFETY: getppid takes nothing and never fails.
        Ok(timed(effort, || unsafe { libc::getppid() }))
    }),
    path(REFERENCE, "getppid", [Some(278.0), Some(103.0)], |effort| {
        // SAFETY: as above.
        Ok(timed(effort, || unsafe { call::raw(libc::SYS_getppid, []) }))
    }),
    path("int 0x80", "getppid", [Some(498.0), Some(317.0)], by_int80),
    path("vDSO", "clock_gettime", [Some(37.0), Some(37.0)], by_vdso),
    // The figures for an emulated vsyscall. A native one, which old kernels have, is as
    // fast as `syscall`.
    path("vsyscall", "gettimeofday", [Some(692.0), Some(496.0)], by_vsyscall),
    path("sysenter (32-bit)", "getppid", [Some(338.0), Some(150.0)], compat::by_sysenter),
    path("vDSO (32-bit)", "clock_gettime", [Some(51.0), Some(51.0)], compat::by_vdso),
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
        // SAFETY: a live timeval and no time zone. Our own process calls it only after a
        // child has survived the call.
        unsafe { gettimeofday(&raw mut time, std::ptr::null_mut()) }
    };
    survives(|| call() == 0)?;
    Ok(timed(effort, call))
}

type ClockGettime = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;

/// The clock in the vDSO, 64-bit or 32-bit.
const CLOCK: &str = "__vdso_clock_gettime";
/// No vDSO is larger.
const LARGEST_VDSO: usize = 16 << 10;

fn by_vdso(effort: Effort) -> Rounds {
    // SAFETY: a plain query; it returns 0 if the kernel maps no vDSO.
    let start = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    let mut image = vec![0; LARGEST_VDSO];
    let memory = File::open("/proc/self/mem");
    let length = memory.and_then(|memory| memory.read_at(&mut image, start));
    image.truncate(length.map_err(|error| format!("cannot read the vDSO: {error}"))?);
    let at = start as usize + clock_in(&image)?;
    // SAFETY: the kernel's function of that name.
    let clock_gettime = unsafe { std::mem::transmute::<usize, ClockGettime>(at) };
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(timed(effort, || {
        // SAFETY: a live timespec.
        unsafe { clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) }
    }))
}

/// The offset of [`CLOCK`] in the image of a vDSO.
pub fn clock_in(image: &[u8]) -> Result<usize, String> {
    let parsed =
        object::File::parse(image).map_err(|error| format!("cannot parse the vDSO: {error}"))?;
    let clock = parsed.dynamic_symbols().find(|symbol| symbol.name() == Ok(CLOCK));
    clock.map(|symbol| symbol.address() as usize).ok_or(format!("the vDSO has no {CLOCK}"))
}

/// Checks that `attempt` returns `true` in a child and does not kill it.
///
/// `attempt` must be async-signal-safe: the process may have threads.
fn survives(attempt: impl FnOnce() -> bool) -> Result<(), String> {
    // SAFETY: the child only makes calls that are async-signal-safe.
    match unsafe { fork() }.map_err(|error| format!("fork failed: {error}"))? {
        ForkResult::Child => {
            alarm::set(5);
            let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
            let right = attempt();
            // SAFETY: ends the child without running `exit`'s handlers a second time.
            unsafe { libc::_exit(c_int::from(!right)) }
        }
        ForkResult::Parent { child } => match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, 0)) => Ok(()),
            Ok(WaitStatus::Signaled(_, signal, _)) => Err(death(signal)),
            Ok(_) => Err("it gave a wrong answer in a child".to_owned()),
            Err(error) => Err(format!("a child that tried it was lost: {error}")),
        },
    }
}

/// Why a child died, guessed from its signal.
pub fn death(signal: Signal) -> String {
    let guess = match signal {
        Signal::SIGSYS => ": a seccomp filter forbids it",
        Signal::SIGSEGV => ": this kernel does not have it, or it is switched off",
        Signal::SIGILL => ": this processor does not have it",
        Signal::SIGALRM => ": it took too long",
        _ => "",
    };
    format!("a child that tried it died of {signal}{guess}")
}
