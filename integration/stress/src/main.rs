//! Random operations around alternate signal stacks: threads that set, replace and lose
//! them, fork, advise, lock, unlock, unmap, remap and take signals.
//!
//! Each round has two parts. In the first the workers take turns, so that the seed alone
//! decides what happens, and after every step all locked and resident memory is compared
//! with what is expected. In the second they work at the same time, and the comparison is
//! made when they rest.
//!
//! Run it under `LD_PRELOAD=libsigward.so SIGWARD=on`; without the library it fails.

mod kernel;
mod signal;
mod steps;
mod world;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use clap::Parser;
use fastrand::Rng;
use libc::c_void;

use steps::{Shared, Worker};

/// Random operations around alternate signal stacks, checked after each.
#[derive(Parser)]
struct Options {
    /// The seed of all random choices [default: from the clock].
    #[arg(long)]
    seed: Option<u64>,
    /// How many seconds to run.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Number of workers.
    #[arg(long, default_value_t = 4)]
    threads: usize,
    /// Steps per round in which the workers take turns.
    #[arg(long, default_value_t = 100)]
    turns: usize,
    /// Steps per worker in the storm that follows.
    #[arg(long, default_value_t = 50)]
    storm: usize,
    /// Print every step.
    #[arg(long)]
    verbose: bool,
}

/// An order to a worker.
enum Order {
    /// One step with this seed, alone.
    Step(u64),
    /// This many steps, at the same time as the others.
    Storm(u64, usize),
    /// Take a signal.
    Raise,
    /// Disable the stack.
    Disable,
    /// End without disabling the stack.
    End,
}

struct Thread {
    handle: libc::pthread_t,
    orders: Sender<Order>,
    reports: Receiver<Result<&'static str, String>>,
}

/// What a new thread receives.
struct Task {
    shared: &'static Shared,
    index: usize,
    orders: Receiver<Order>,
    reports: Sender<Result<&'static str, String>>,
}

/// std's threads have alternate stacks of their own; these have not.
fn spawn(shared: &'static Shared, index: usize) -> Thread {
    let ((orders, take), (report, reports)) = (channel(), channel());
    let task = Box::new(Task { shared, index, orders: take, reports: report });
    let mut handle = 0;
    // SAFETY: the thread takes over the task.
    let created = unsafe {
        let task = Box::into_raw(task).cast();
        libc::pthread_create(&raw mut handle, std::ptr::null(), work, task)
    };
    assert_eq!(created, 0);
    let thread = Thread { handle, orders, reports };
    thread.reports.recv().ok(); // it is ready
    thread
}

extern "C" fn work(task: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` passes a box.
    let task = unsafe { Box::from_raw(task.cast::<Task>()) };
    let Task { shared, index, orders, reports } = *task;
    shared.world().ordinary[index] = world::ordinary_stack();
    reports.send(Ok("start")).ok();
    let mut worker = Worker { shared, index, storm: false, rng: Rng::with_seed(0) };
    while let Ok(order) = orders.recv() {
        worker.storm = matches!(order, Order::Storm(..));
        let outcome = match order {
            Order::Step(seed) => {
                worker.rng.seed(seed);
                worker.step()
            }
            Order::Storm(seed, steps) => {
                worker.rng.seed(seed);
                (0..steps).try_fold("storm", |_, _| worker.step())
            }
            Order::Raise => worker.raise().map(|()| "raise"),
            Order::Disable => worker.disable().map(|()| "disable"),
            Order::End => break,
        };
        reports.send(outcome).ok();
    }
    std::ptr::null_mut()
}

impl Thread {
    fn order(&self, order: Order) {
        self.orders.send(order).expect("the worker is there");
    }

    fn report(&self) -> Result<&'static str, String> {
        self.reports.recv().map_err(|error| error.to_string())?
    }

    fn execute(&self, order: Order) -> Result<&'static str, String> {
        self.order(order);
        self.report()
    }
}

struct Run {
    options: Options,
    shared: &'static Shared,
    threads: Vec<Thread>,
    rng: Rng,
    steps: usize,
}

impl Run {
    fn round(&mut self) -> Result<(), String> {
        for _ in 0..self.options.turns {
            let index = self.rng.usize(..self.threads.len());
            let name = if self.rng.u8(..30) == 0 {
                self.renew(index);
                "renew"
            } else {
                self.threads[index].execute(Order::Step(self.rng.u64(..)))?
            };
            if self.options.verbose {
                println!("step {}: worker {index}: {name}", self.steps);
            }
            self.steps += 1;
            self.shared.world().check().map_err(|error| format!("after {name}: {error}"))?;
            if name == "fork" || self.rng.u8(..4) == 0 {
                for thread in &self.threads {
                    let outcome = thread.execute(Order::Raise);
                    outcome.map_err(|error| format!("after {name}: {error}"))?;
                }
            }
        }
        // In the storm the program itself locks nothing.
        // SAFETY: no memory is changed.
        unsafe { libc::munlockall() };
        self.shared.world().programs.clear();
        for thread in &self.threads {
            thread.order(Order::Storm(self.rng.u64(..), self.options.storm));
        }
        for thread in &self.threads {
            thread.report().map_err(|error| format!("storm: {error}"))?;
            self.steps += self.options.storm;
        }
        for thread in &self.threads {
            thread.execute(Order::Raise).map_err(|error| format!("after the storm: {error}"))?;
        }
        self.shared.world().check().map_err(|error| format!("after the storm: {error}"))
    }

    /// The worker ends with its stack registered; another replaces it.
    fn renew(&mut self, index: usize) {
        self.end(index);
        let mut world = self.shared.world();
        if let Some(stack) = world.stacks[index].take() {
            steps::discard(stack, &mut world);
        }
        drop(world);
        self.threads[index] = spawn(self.shared, index);
    }

    fn end(&self, index: usize) {
        self.threads[index].order(Order::End);
        // SAFETY: the thread is ending.
        unsafe { libc::pthread_join(self.threads[index].handle, std::ptr::null_mut()) };
        self.shared.world().ordinary[index] = 0..0;
    }

    fn figures(&self, began: Instant) {
        println!(
            "{} s: {} steps, {} frames, {} forks, VmLck {} KiB, VmRSS {} KiB",
            began.elapsed().as_secs(),
            self.steps,
            signal::FRAMES.load(std::sync::atomic::Ordering::Relaxed),
            self.shared.forks.load(std::sync::atomic::Ordering::Relaxed),
            kernel::status_kib("VmLck"),
            kernel::status_kib("VmRSS"),
        );
    }
}

/// If no round ends for this many seconds, it is a deadlock.
const DEAD_MAN: u32 = 120;

/// In KiB. The program varies between 15 and 60 MiB. If each stack of a long run (12,000 per
/// minute) leaked a page, it would exceed this.
const MOST_RESIDENT: usize = 96 << 10;

/// Restarts this program without glibc's rseq area, to which the kernel also writes at a
/// delivery. The area lies on the thread's ordinary stack, and a fork write-protects it
/// until the thread is scheduled again.
fn without_rseq() {
    const TUNABLES: &str = "GLIBC_TUNABLES";
    const OFF: &str = "glibc.pthread.rseq=0";
    let given = std::env::var(TUNABLES).unwrap_or_default();
    if !given.contains(OFF) {
        let both = if given.is_empty() { OFF.to_owned() } else { format!("{given}:{OFF}") };
        let arguments = std::env::args_os().skip(1);
        let error = Command::new("/proc/self/exe").args(arguments).env(TUNABLES, both).exec();
        panic!("/proc/self/exe: {error}");
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    without_rseq();
    let seed = options.seed.unwrap_or_else(|| Rng::new().u64(..1 << 32));
    println!("seed {seed}");
    // Disables the alternate stack that std has set for this thread.
    let none =
        libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
    // SAFETY: no handler runs.
    unsafe { libc::sigaltstack(&raw const none, std::ptr::null_mut()) };
    signal::install();
    // SAFETY: a query.
    let unlimited = unsafe { libc::geteuid() } == 0;
    let locked_before = kernel::status_kib("VmLck");

    let count = options.threads;
    let shared: &'static Shared = Box::leak(Box::new(Shared::new(count, unlimited)));
    shared.world().ordinary = vec![0..0; count];
    shared.world().ordinary.push(world::ordinary_stack());
    let threads = (0..count).map(|index| spawn(shared, index)).collect();
    let mut run = Run { options, shared, threads, rng: Rng::with_seed(seed), steps: 0 };

    let (began, mut reported) = (Instant::now(), Instant::now());
    let mut outcome = Ok(());
    while outcome.is_ok() && began.elapsed().as_secs() < run.options.seconds {
        // SAFETY: the default action ends a program that does not return here.
        unsafe { libc::alarm(DEAD_MAN) };
        outcome = run.round();
        if reported.elapsed() > Duration::from_secs(10) {
            reported = Instant::now();
            run.figures(began);
        }
    }
    run.figures(began);
    if let Err(error) = outcome {
        println!("seed {seed}, step {}: {error}", run.steps);
        return ExitCode::FAILURE;
    }
    for index in 0..count {
        if let Err(error) = run.threads[index].execute(Order::Disable) {
            println!("{error}");
            return ExitCode::FAILURE;
        }
        run.end(index);
    }
    let locked = kernel::status_kib("VmLck");
    println!("VmLck {locked_before} KiB at the start, {locked} KiB at the end");
    // If there was little room, main's own stack may have lost its lock to a worker's.
    let back = locked == locked_before || (!unlimited && locked < locked_before);
    let resident = kernel::status_kib("VmRSS");
    if resident > MOST_RESIDENT {
        println!("VmRSS {resident} KiB at the end, which is more than {MOST_RESIDENT}");
    }
    if back && resident <= MOST_RESIDENT { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
