//! Threads: from its start, each thread holds a part of its own stack; when
//! it ends, everything is released.
//!
//! A thread-specific data key, made at load, reports the end of a thread: this
//! needs no hook and no TLS of our own. glibc allocates for keys from 32 on.
//! With such a key, or with none, dead threads are found by sweeping
//! (`residency::registry`).
//!
//! A thread starts in [`enter`], which jumps to the program's function: nothing
//! of ours stays on the stack for pthread_exit(3) to unwind.

use core::ffi::{c_int, c_uint, c_void};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use libc::{pthread_attr_t, pthread_t, size_t};
use sigward_core::events;
use sigward_core::os::{errno, page};
use sigward_core::residency::bounds::Attributes;
use sigward_core::residency::{self, ordinary_stacks};
use sigward_core::small_stacks::every_thread;

use crate::arch;
use crate::originals::{self, Id};

type Destructor = unsafe extern "C" fn(*mut c_void);
type Create = unsafe extern "C" fn(*mut c_uint, Option<Destructor>) -> c_int;
type Set = unsafe extern "C" fn(c_uint, *const c_void) -> c_int;

/// No key yet: before glibc 2.34 libpthread may be loaded after us. No libc
/// uses this number.
const NOT_YET: u32 = u32::MAX;
/// No key, as it would be an expensive one.
const NONE: u32 = u32::MAX - 1;
/// glibc and musl store values of keys below this without an allocation.
const CHEAP_KEYS: u32 = 32;
/// The number of rounds of destructors that POSIX guarantees.
const ROUNDS: usize = 4;

static KEY: AtomicU32 = AtomicU32::new(NOT_YET);

/// Makes the key, if libc has the functions for it. Call this at load.
pub fn make_key() {
    let (Some(create), Some(_)) =
        (originals::get(Id::pthread_key_create), originals::get(Id::pthread_setspecific))
    else {
        return;
    };
    let mut key = NONE;
    // SAFETY: found under that name; a live destination for the key.
    let result =
        unsafe { core::mem::transmute::<usize, Create>(create)(&raw mut key, Some(round)) };
    let cheap = result == 0 && key < CHEAP_KEYS;
    KEY.store(if cheap { key } else { NONE }, Ordering::Relaxed);
    if cheap {
        residency::promise_thread_ends();
    }
}

/// Makes the key before the first thread, if that was not possible at load.
fn make_late_key() {
    if KEY.load(Ordering::Relaxed) == NOT_YET && residency::on_duty() {
        make_key();
    }
}

/// Requests a notice when the calling thread ends. Async-signal-safe, as only
/// cheap keys are used.
pub fn request_exit_notice() {
    set(1);
}

/// Like [`request_exit_notice`], where nothing was prepared at load.
/// Async-signal-safe: both libcs block signals, or take no lock, while they make
/// a key.
pub fn request_late_exit_notice() {
    if KEY.load(Ordering::Relaxed) == NOT_YET {
        make_key();
    }
    set(1);
}

fn set(round: usize) {
    let key = KEY.load(Ordering::Relaxed);
    if key >= CHEAP_KEYS {
        return;
    }
    if let Some(address) = originals::get(Id::pthread_setspecific) {
        let _errno = errno::Kept::now();
        // SAFETY: found under that name; the key is ours.
        unsafe { core::mem::transmute::<usize, Set>(address)(key, round as *const c_void) };
    }
}

/// One round of destructors. After it, other destructors may still run, use the
/// stack and be interrupted by signals, so the stack is released in the last
/// round.
unsafe extern "C" fn destructor_round(round: *mut c_void) {
    match round as usize {
        ROUNDS.. => events::thread_end(),
        earlier => set(earlier + 1),
    }
}

/// libc calls this for a round. musl's asynchronous cancellation jumps into
/// pthread_exit(3) from any instruction, so the stack pointer may not be
/// aligned as the ABI requires.
#[unsafe(naked)]
unsafe extern "C" fn round(round: *mut c_void) {
    arch::align_and_call!(destructor_round)
}

/// How many threads can be between their creation and their start at one time.
/// The stack of any further one is not held.
const STARTING: usize = 256;

/// What a new thread runs, and its kind of stack.
struct Start {
    taken: AtomicBool,
    function: AtomicUsize,
    argument: AtomicUsize,
    /// Stack size, or the base of a given one.
    stack: AtomicUsize,
    /// Guard size, or [`GIVEN`], or [`UNKNOWN`].
    guard: AtomicUsize,
}

/// In place of a guard size: the program provided the stack.
const GIVEN: usize = usize::MAX;
/// In place of a guard size: the stack does not matter.
const UNKNOWN: usize = usize::MAX - 1;

static STARTS: [Start; STARTING] = [const {
    Start {
        taken: AtomicBool::new(false),
        function: AtomicUsize::new(0),
        argument: AtomicUsize::new(0),
        stack: AtomicUsize::new(0),
        guard: AtomicUsize::new(0),
    }
}; STARTING];

/// Takes a free entry and fills it; `None` if all are taken.
fn reserve(
    function: usize,
    argument: usize,
    attributes: Option<Attributes>,
) -> Option<&'static Start> {
    let free = |start: &&Start| !start.taken.swap(true, Ordering::Acquire);
    let start = STARTS.iter().find(free)?;
    let (stack, guard) = match attributes {
        None => (0, UNKNOWN),
        Some(Attributes::Made { size, guard }) => (size, guard.min(UNKNOWN - 1)),
        Some(Attributes::Given { base }) => (base, GIVEN),
    };
    start.function.store(function, Ordering::Relaxed);
    start.argument.store(argument, Ordering::Relaxed);
    start.stack.store(stack, Ordering::Relaxed);
    start.guard.store(guard, Ordering::Relaxed);
    Some(start)
}

/// A function and its argument, which the ABI returns in two registers.
#[repr(C)]
struct Run {
    function: usize,
    argument: usize,
}

/// The first code that a new thread runs, on its own stack.
unsafe extern "C" fn begin(start: &'static Start) -> Run {
    let run = Run {
        function: start.function.load(Ordering::Relaxed),
        argument: start.argument.load(Ordering::Relaxed),
    };
    let stack = start.stack.load(Ordering::Relaxed);
    let attributes = match start.guard.load(Ordering::Relaxed) {
        UNKNOWN => None,
        GIVEN => Some(Attributes::Given { base: stack }),
        guard => Some(Attributes::Made { size: stack, guard }),
    };
    start.taken.store(false, Ordering::Release);
    if let Some(attributes) = attributes {
        ordinary_stacks::adopt_thread(attributes);
    }
    if every_thread::follows_threads() {
        request_exit_notice();
        every_thread::start();
    }
    run
}

/// Where a new thread starts: holds its stack, then jumps to the program's
/// function with its argument, as if libc had called it.
#[unsafe(naked)]
unsafe extern "C" fn enter() {
    arch::begin_and_jump!(begin)
}

/// The stack that `attributes` will give a thread; null means the defaults.
fn attributes(attributes: *const pthread_attr_t) -> Option<Attributes> {
    type Change = unsafe extern "C" fn(*mut pthread_attr_t) -> c_int;
    type Number = unsafe extern "C" fn(*const pthread_attr_t, *mut size_t) -> c_int;
    type Stack =
        unsafe extern "C" fn(*const pthread_attr_t, *mut *mut c_void, *mut size_t) -> c_int;

    let _errno = errno::Kept::now();
    let number = |id, from: *const pthread_attr_t| {
        let address = originals::get(id)?;
        let mut value = 0;
        // SAFETY: found under the name of a getter of this type.
        let get = unsafe { core::mem::transmute::<usize, Number>(address) };
        // SAFETY: attributes that the caller or the code below has initialised.
        (unsafe { get(from, &raw mut value) } == 0).then_some(value)
    };
    // musl adds the guard to the size; glibc takes it from there.
    let inside = originals::get(Id::__register_atfork).is_some();
    let guard = |from| if inside { number(Id::pthread_attr_getguardsize, from) } else { Some(0) };
    if attributes.is_null() {
        let (init, destroy) =
            (originals::get(Id::pthread_attr_init)?, originals::get(Id::pthread_attr_destroy)?);
        // SAFETY: found under those names.
        let (init, destroy) = unsafe {
            (
                core::mem::transmute::<usize, Change>(init),
                core::mem::transmute::<usize, Change>(destroy),
            )
        };
        // SAFETY: plain C data, initialised next.
        let mut defaults: pthread_attr_t = unsafe { core::mem::zeroed() };
        // SAFETY: our own object.
        if unsafe { init(&raw mut defaults) } != 0 {
            return None;
        }
        let size = number(Id::pthread_attr_getstacksize, &raw const defaults);
        let guard = guard(&raw const defaults);
        // SAFETY: initialised above.
        unsafe { destroy(&raw mut defaults) };
        return Some(Attributes::Made { size: size?, guard: guard? });
    }
    let (mut base, mut size) = (core::ptr::null_mut(), 0);
    let address = originals::get(Id::pthread_attr_getstack)?;
    // SAFETY: found under that name.
    let get = unsafe { core::mem::transmute::<usize, Stack>(address) };
    // SAFETY: the caller's attributes, initialised as pthread_create requires.
    let given = unsafe { get(attributes, &raw mut base, &raw mut size) } == 0;
    // glibc also answers for a stack that was not set: one that ends at 0.
    if given && !base.is_null() && (base as usize).wrapping_add(size) != 0 {
        return Some(Attributes::Given { base: base as usize });
    }
    let size = number(Id::pthread_attr_getstacksize, attributes)?;
    Some(Attributes::Made { size, guard: guard(attributes)? })
}

/// Makes a thread that starts in [`enter`], where it has work to do there.
/// `commit` makes it start in a given function, with a given argument.
fn create(
    attr: *const pthread_attr_t,
    function: usize,
    argument: *mut c_void,
    commit: impl FnOnce(usize, *mut c_void) -> c_int,
) -> c_int {
    let holds = ordinary_stacks::wanted();
    if !holds && !every_thread::follows_threads() {
        return commit(function, argument);
    }
    let stack = if holds { attributes(attr) } else { None };
    if stack.is_none() && !every_thread::follows_threads() {
        return commit(function, argument);
    }
    let Some(start) = reserve(function, argument as usize, stack) else {
        return commit(function, argument);
    };
    let pointer = core::ptr::from_ref(start).cast_mut().cast();
    let result = commit(enter as *const () as usize, pointer);
    if result != 0 {
        start.taken.store(false, Ordering::Release);
    }
    result
}

/// The least size of a new thread's stack, in bytes; 0 for any.
static LEAST: AtomicUsize = AtomicUsize::new(0);

/// Gives new threads at least that much stack. Call this once, at load.
pub fn make_room(bytes: usize) {
    if bytes > 0 {
        LEAST.store(bytes.next_multiple_of(page::size()), Ordering::Relaxed);
    }
}

/// `attr` with a stack of at least [`LEAST`] bytes, if its own is smaller; null
/// means the defaults. Never destroyed: a copy owns nothing, and libc's
/// defaults own nothing either.
fn with_room(attr: *const pthread_attr_t) -> Option<pthread_attr_t> {
    type Init = unsafe extern "C" fn(*mut pthread_attr_t) -> c_int;
    type Set = unsafe extern "C" fn(*mut pthread_attr_t, size_t) -> c_int;

    let least = LEAST.load(Ordering::Relaxed);
    if least == 0 || !residency::on_duty() {
        return None;
    }
    let Some(Attributes::Made { size, .. }) = attributes(attr) else { return None };
    let set = originals::get(Id::pthread_attr_setstacksize).filter(|_| size < least)?;
    let _errno = errno::Kept::now();
    let mut roomy = if attr.is_null() {
        let init = originals::get(Id::pthread_attr_init)?;
        // SAFETY: plain C data, initialised next.
        let mut defaults: pthread_attr_t = unsafe { core::mem::zeroed() };
        // SAFETY: found under that name; our own object.
        if unsafe { core::mem::transmute::<usize, Init>(init)(&raw mut defaults) } != 0 {
            return None;
        }
        defaults
    } else {
        // SAFETY: initialised, as pthread_create requires.
        unsafe { attr.read() }
    };
    // SAFETY: found under that name; our own object.
    let result = unsafe { core::mem::transmute::<usize, Set>(set)(&raw mut roomy, least) };
    (result == 0).then_some(roomy)
}

/// What pthread_create(3) starts.
type Function = extern "C" fn(*mut c_void) -> *mut c_void;
/// What thrd_create(3) starts.
type C11Function = extern "C" fn(*mut c_void) -> c_int;

hook! {
    /// pthread_create(3).
    fn pthread_create(
        thread: *mut pthread_t,
        attr: *const pthread_attr_t,
        function: Function,
        argument: *mut c_void
    ) -> c_int, as libc::pthread_create;
    found by get_late;
    failing libc::EAGAIN;
    |original| {
        make_late_key();
        let make = |attr: *const pthread_attr_t| {
            create(attr, function as usize, argument, |function, argument| {
                // SAFETY: the caller's function, or `enter`, which stands in
                // for it.
                unsafe {
                    let function = core::mem::transmute::<usize, Function>(function);
                    original(thread, attr, function, argument)
                }
            })
        };
        match with_room(attr) {
            // There may be room for the smaller stack.
            Some(roomy) => match make(&raw const roomy) {
                0 => 0,
                _ => make(attr),
            },
            None => make(attr),
        }
    }
}

hook! {
    /// thrd_create(3), which does not go through pthread_create's symbol.
    fn thrd_create(
        thread: *mut pthread_t,
        function: C11Function,
        argument: *mut c_void
    ) -> c_int;
    found by get_late;
    failing THREAD_ERROR;
    |original| {
        make_late_key();
        create(core::ptr::null(), function as usize, argument, |function, argument| {
            // SAFETY: the caller's function, or `enter`, which stands in for
            // it.
            unsafe {
                let function = core::mem::transmute::<usize, C11Function>(function);
                original(thread, function, argument)
            }
        })
    }
}

/// `thrd_error`, which is 2 in both libcs.
const THREAD_ERROR: c_int = 2;
