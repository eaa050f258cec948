//! The constructor: environment -> config -> verdict -> policy.

use sigward_core::altstack::{self, Duty, frame, ladder::Rung, registry::Policy};
use sigward_core::sys::startup::Startup;
use sigward_core::{log, stats};

use crate::hooks::{syscall, thread};
use crate::{originals, weak};

#[used]
#[unsafe(link_section = ".init_array")]
static ON_LOAD: extern "C" fn() = on_load;

#[used]
#[unsafe(link_section = ".fini_array")]
static ON_EXIT: extern "C" fn() = on_exit;

static EXIT_NOTICE: fn() = thread::ask_for_notice;

/// What the kernel gave this process, where libc tells us.
fn startup() -> Option<Startup> {
    if let Some(argc) = weak::libc_stack_end() {
        // SAFETY: glibc's variable points at the kernel's block.
        return Some(unsafe { Startup::from_stack(*(argc as *const *const usize)) });
    }
    // SAFETY: while constructors run, musl's `environ` points into it.
    weak::environ().map(|environ| unsafe { Startup::from_environ(environ) })
}

extern "C" fn on_load() {
    originals::resolve();
    let startup = startup();
    frame::learn(startup, None);
    let on = startup.is_some_and(|s| s.environment().any(|e| e == b"SIGWARD=on"));
    if startup.is_some_and(|s| s.environment().any(|e| e == b"SIGWARD_LOG=debug")) {
        log::listen(::log::LevelFilter::Debug);
    }
    if on {
        thread::make_key();
        altstack::take_charge(
            Duty::Act,
            Policy { start: Rung::Lock, window: frame::window() },
            &EXIT_NOTICE,
        );
        altstack::adopt_current();
    }
    syscall::watch(on);
}

extern "C" fn on_exit() {
    if altstack::on_duty() {
        stats::print();
    }
}
