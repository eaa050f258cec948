//! Processes and threads that come and go.

use std::sync::atomic::Ordering;

use libc::c_void;

use super::{Outcome, Worker, at, demand, fresh};
use crate::kernel;
use crate::signal;
use crate::world::{Stack, World};

impl Worker<'_> {
    /// The child must find its own stack held, and nothing else.
    pub(super) fn fork(&mut self) -> Outcome {
        let stack = self.stack();
        let ordinary = crate::world::ordinary_stack();
        let unlimited = self.shared.world().unlimited;
        self.shared.forks.fetch_add(1, Ordering::Relaxed);
        let code = self.shared.disturb(|| {
            // SAFETY: the child ends by _exit; glibc's fork keeps malloc usable.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: as above.
                unsafe { libc::alarm(30) };
                let outcome = in_child(stack, &ordinary, unlimited);
                if let Err(error) = &outcome {
                    eprintln!("child {}: {error}", std::process::id());
                }
                // SAFETY: as above.
                unsafe { libc::_exit(i32::from(outcome.is_err())) }
            }
            signal::exit_code(child)
        });
        if code != 0 {
            return Err(format!("the child ended with {code}"));
        }
        if self.storm { Ok(()) } else { self.raise() }
    }

    /// A thread starts, sets a stack, takes a signal, and ends with its stack set.
    pub(super) fn short_thread(&mut self) -> Outcome {
        extern "C" fn run(stack: *mut c_void) -> *mut c_void {
            // SAFETY: the creator's stack_t, which outlives this thread.
            let stack = unsafe { &*stack.cast::<libc::stack_t>() };
            // SAFETY: memory that outlives this thread.
            if unsafe { libc::sigaltstack(stack, at(0).cast()) } != 0 {
                return at(1);
            }
            let Some(actual) = kernel::alternate_stack() else { return at(1) };
            let outcome = signal::raise(actual.start, actual.len(), 0, false);
            at(usize::from(outcome.is_err()))
        }
        let size = 16 << 10;
        let base = fresh(size);
        let mut stack = libc::stack_t { ss_sp: at(base), ss_flags: 0, ss_size: size };
        // SAFETY: the thread is joined before its arguments go out of scope.
        let outcome = unsafe {
            let mut thread = 0;
            let argument = (&raw mut stack).cast();
            let created = libc::pthread_create(&raw mut thread, at(0).cast(), run, argument);
            demand(created == 0, "pthread_create")?;
            let mut outcome = at(1);
            libc::pthread_join(thread, &raw mut outcome);
            outcome
        };
        // It may lie where the stack of a worker was that is still set.
        let stacks: Vec<_> = self.shared.world().stacks.iter().flatten().copied().collect();
        let held = kernel::locked();
        let claimed = |page: &usize| {
            stacks.iter().any(|stack| kernel::pages(stack.base, stack.size).contains(page))
        };
        let left = kernel::pages(base, size).any(|page| held.contains(&page) && !claimed(&page));
        // SAFETY: nothing uses it any more.
        unsafe { libc::munmap(at(base), size) };
        demand(outcome.is_null(), "the short thread's signal")?;
        demand(!left, "the stack of an ended thread is still locked")
    }
}

fn in_child(stack: Option<Stack>, ordinary: &std::ops::Range<usize>, unlimited: bool) -> Outcome {
    if let Some(stack) = stack.filter(|stack| !stack.gone) {
        let moved = kernel::moved();
        let (base, size) = stack.actual;
        let faults = signal::raise(base, size, 0, false)?;
        demand(faults == 0 || kernel::has_moved_since(moved), &format!("{faults} faults"))?;
    }
    let world = World {
        stacks: vec![stack],
        ordinary: vec![ordinary.clone()],
        unlimited,
        ..World::default()
    };
    world.check()
}
