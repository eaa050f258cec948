//! The originals of our hooks, and the few other functions that we need from
//! libc.
//!
//! At load the objects that follow ours are recorded in the loader's search
//! order; no name is looked up yet. A name is looked up in them when it is first
//! needed. That takes no lock, as they are never unloaded. A name that none of
//! them has gets a fallback that does the same ([`fallback`]), or is missing.
//! It may come with a library that is loaded later (thread functions
//! do, before glibc 2.34): [`get_late`] searches that too, but under the
//! loader's lock.

use core::ffi::{CStr, c_char, c_int, c_ulong, c_void};
use core::sync::atomic::Ordering;

use sigward_core::loaded::{self, Header, Name, Object, SymbolNames};
use sigward_core::os::errno;
use sigward_core::residency::ladder::Stack;
use sigward_core::startup_objects::StartupObjects;

use crate::hooks::list::NAMES;
pub use crate::hooks::list::{FOUND, Id};
use crate::{fallbacks, weak_symbols};

/// The objects that followed ours at load, and later ones that are never
/// unloaded. If there are too many at load, the others are searched at once.
static OBJECTS: StartupObjects<512> = StartupObjects::new();

/// Records the objects that follow ours. Call this once, at load.
pub fn record() {
    walk(|behind, bias, headers| {
        // SAFETY: an object that is here at load is never unloaded.
        if behind && !unsafe { OBJECTS.add(bias, headers) } {
            // SAFETY: the object is loaded.
            if let Some(object) = unsafe { Object::read(bias, headers) } {
                search_now(&object);
            }
        }
        false
    });
    // glibc's own constructor sets `environ`. If it has run, other constructors
    // may have run too, and may have loaded objects that can be unloaded: those
    // come last.
    if unloads() && weak_symbols::environ().is_some() {
        OBJECTS.end_behind(name(Id::__errno_location));
    }
    OBJECTS.complete();
}

/// Registers the function that finds `errno` on first use, which is after the
/// first use of some original.
fn locate_errno() {
    // SAFETY: `get` finds that function.
    unsafe { errno::locate_by(|| get(Id::__errno_location).unwrap_or(0)) };
}

/// Searches an object that could not be recorded for all names that the objects
/// before it lack.
#[cold]
fn search_now(object: &Object<'_>) {
    for (name, slot) in NAMES.iter().zip(&FOUND) {
        if slot.load(Ordering::Relaxed) == 0 && OBJECTS.find(name).is_none() {
            slot.store(object.find(name).unwrap_or(0), Ordering::Relaxed);
        }
    }
}

/// Whether objects are ever unloaded in this process: musl never unloads any.
fn unloads() -> bool {
    weak_symbols::libc_stack_end().is_some()
}

fn name(id: Id) -> Name<'static> {
    NAMES.get(id as usize).unwrap_or(Name::new(""))
}

/// The address of the original of that name, if there is one. Async-signal-safe
/// once the constructor has run; before that it takes the loader's lock.
#[inline]
pub fn get(id: Id) -> Option<usize> {
    match FOUND.get(id as usize)?.load(Ordering::Relaxed) {
        0 => search(id),
        address => Some(address),
    }
}

/// Searches for a name that is needed for the first time, or missing.
#[cold]
#[inline(never)] // for size: every hook asks
fn search(id: Id) -> Option<usize> {
    locate_errno();
    if !OBJECTS.is_complete() {
        return search_loaded(id).or_else(|| fallback(id));
    }
    let found = OBJECTS.find(name(id)).map(|(address, _)| address);
    let address = found.or_else(|| fallback(id))?;
    if let Some(slot) = FOUND.get(id as usize) {
        // Helgrind and drd would report a plain store as a data race of the
        // program.
        let _ = slot.compare_exchange(0, address, Ordering::Relaxed, Ordering::Relaxed);
    }
    Some(address)
}

/// Finds all names at once. Call this at load.
#[cold]
pub fn find_all() {
    for (name, slot) in NAMES.iter().zip(&FOUND) {
        if let Some((address, _)) = OBJECTS.find(name) {
            slot.store(address, Ordering::Relaxed);
        }
    }
}

/// Like [`get`], but if that finds none, returns the definition of a library
/// that was loaded later. Not async-signal-safe.
#[inline]
pub fn get_late(id: Id) -> Option<usize> {
    get(id).or_else(|| search_loaded(id))
}

/// Searches for a name in all objects that follow ours, under the loader's lock.
/// If the object that has it is never unloaded, it is recorded. Otherwise the
/// result is good only for a call whose caller knows that the object is loaded.
#[cold]
#[inline(never)]
fn search_loaded(id: Id) -> Option<usize> {
    let mut found = None;
    walk(|behind, bias, headers| {
        if !behind {
            return false;
        }
        // SAFETY: the object is loaded, and stays loaded during the walk.
        let Some(object) = (unsafe { Object::read(bias, headers) }) else { return false };
        found = object.find(name(id));
        let stays = object.stays() || !unloads();
        if found.is_some() && stays && OBJECTS.is_complete() {
            // SAFETY: it is never unloaded. If there is no room, the next search
            // finds it again.
            unsafe { OBJECTS.add(bias, headers) };
        }
        found.is_some()
    });
    found
}

/// Whether the first definition of that name after ours is libc's own, and not
/// another interposer's. Async-signal-safe.
#[cfg(target_arch = "x86_64")] // for waits
pub fn behind_is_libc(id: Id) -> bool {
    let of_libc = |object: Object<'_>| object.find(name(Id::__errno_location)).is_some();
    OBJECTS.find(name(id)).is_none_or(|(_, object)| of_libc(object))
}

/// The fallback for a name that no object has. We export every name in every
/// process, so a program may find one that its libc lacks.
fn fallback(id: Id) -> Option<usize> {
    match id {
        Id::__sigaction => get(Id::sigaction),
        Id::ssignal | Id::bsd_signal => get(Id::signal),
        Id::sysv_signal => get(Id::__sysv_signal),
        Id::_Fork => get(Id::fork),
        Id::__wait => get(Id::wait),
        Id::__waitpid => get(Id::waitpid),
        Id::mmap64 => get(Id::mmap),

        Id::process_madvise => Some(fallbacks::process_madvise as *const () as usize),
        Id::pkey_mprotect => Some(fallbacks::pkey_mprotect as *const () as usize),
        Id::mlock2 => Some(fallbacks::mlock2 as *const () as usize),
        _ => None,
    }
}

/// Calls `visit` for each loaded object, in the loader's order, until it
/// returns `true`. The arguments are whether the object follows ours, its bias
/// and its headers. Takes the loader's lock.
fn walk<V: FnMut(bool, usize, &[Header]) -> bool>(visit: V) {
    let Some(iterate) = weak_symbols::dl_iterate_phdr() else { return };
    let mut walk = Walk { behind: false, visit };
    // SAFETY: the loader's own function; `visit_one` has the type that it calls,
    // and `walk` outlives the call.
    unsafe { iterate(visit_one::<V>, (&raw mut walk).cast()) };
}

/// The state of one walk.
struct Walk<V> {
    /// Whether our own object has been passed.
    behind: bool,
    visit: V,
}

/// One loaded object. Returns non-zero to end the walk.
unsafe extern "C" fn visit_one<V: FnMut(bool, usize, &[Header]) -> bool>(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    walk: *mut c_void,
) -> c_int {
    // SAFETY: the loader gives a live record, and the pointer that `walk` gave.
    let (info, walk) = unsafe { (&*info, &mut *walk.cast::<Walk<V>>()) };
    let bias = info.dlpi_addr as usize;
    let headers = if info.dlpi_phdr.is_null() {
        &[][..]
    } else {
        // SAFETY: the loader's record of the object's program headers.
        unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) }
    };
    let behind = walk.behind;
    let here = &raw const OBJECTS as usize;
    walk.behind |= headers.iter().any(|header| {
        let start = bias.wrapping_add(header.p_vaddr as usize);
        header.p_type == libc::PT_LOAD && here.wrapping_sub(start) < header.p_memsz as usize
    });
    c_int::from((walk.visit)(behind, bias, headers))
}

/// Whether the program defines one of `names`; with `any`, also an object that
/// was behind ours at load. Async-signal-safe.
pub fn is_known(names: &'static SymbolNames, any: bool) -> bool {
    let program = program();
    names.iter().any(|name| {
        let by_program = program.as_ref().is_some_and(|program| program.find(name).is_some());
        by_program || any && OBJECTS.find(name).is_some()
    })
}

/// The path by which the program was executed; empty if that is not known.
/// Async-signal-safe.
pub fn executed() -> &'static [u8] {
    match auxiliary(libc::AT_EXECFN) {
        0 => b"",
        // SAFETY: a NUL-terminated string that stays valid.
        path => unsafe { CStr::from_ptr(path as *const c_char) }.to_bytes(),
    }
}

/// A value that the kernel passed at exec, or 0. Async-signal-safe.
fn auxiliary(kind: c_ulong) -> usize {
    type Auxiliary = unsafe extern "C" fn(c_ulong) -> c_ulong;
    let Some(address) = get(Id::getauxval) else { return 0 };
    let _errno = errno::Kept::now();
    // SAFETY: found under that name; a lookup by number.
    unsafe { core::mem::transmute::<usize, Auxiliary>(address)(kind) as usize }
}

/// The bias and the headers of the program itself, found without the loader's
/// lock.
fn program_headers() -> Option<(usize, &'static [Header])> {
    let (start, count) = (auxiliary(libc::AT_PHDR), auxiliary(libc::AT_PHNUM));
    if start == 0 {
        return None;
    }
    // SAFETY: the kernel reported where it mapped the program's headers, which
    // stay.
    let headers = unsafe { core::slice::from_raw_parts(start as *const Header, count) };
    let own = headers.iter().find(|header| header.p_type == libc::PT_PHDR);
    Some((own.map_or(0, |own| start.wrapping_sub(own.p_vaddr as usize)), headers))
}

fn program() -> Option<Object<'static>> {
    let (bias, headers) = program_headers()?;
    // SAFETY: the program is never unloaded.
    unsafe { Object::read(bias, headers) }
}

/// Whether `stack` lies in the program or an object that was loaded at start:
/// such memory is never unmapped. Async-signal-safe.
pub fn is_static(stack: Stack) -> bool {
    let in_program = program_headers()
        .is_some_and(|(bias, headers)| loaded::covers(bias, headers, stack.base, stack.size));
    in_program || OBJECTS.cover(stack.base, stack.size)
}

/// The first of `names` that is defined: by the program, or, with `any`, by any
/// loaded object.
pub fn first_defined(names: &'static SymbolNames, any: bool) -> Option<&'static str> {
    let mut found = None;
    walk(|_, bias, headers| {
        // SAFETY: the object is loaded, and stays loaded during the walk.
        if let Some(object) = unsafe { Object::read(bias, headers) } {
            found = names.iter().find(|name| object.find(*name).is_some()).map(Name::text);
        }
        // The program comes first.
        found.is_some() || !any
    });
    found
}
