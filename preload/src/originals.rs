//! The functions behind our hooks, and the few others that we need of libc.
//!
//! All are found at load by one walk over the objects behind ours, in the
//! order in which the loader would ask them; `dlsym` is asked only where the
//! walk could not read libc. What is not found stays null, and that feature
//! off. A hook that is called before our constructor walks by itself.

use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};

use sigward_core::loaded::{Name, Names, Object, Table};

/// Defines [`Id`] and the table of names.
macro_rules! names {
    (hooked { $($hooked:ident)* } needed { $($needed:ident)* }) => {
        /// The names that are looked up, by their position in the table.
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "libc's names")]
        #[derive(Clone, Copy)]
        pub enum Id { $($hooked,)* $($needed,)* }

        const COUNT: usize = [$(Id::$hooked,)* $(Id::$needed,)*].len();

        static NAMES: Table<COUNT> = Table::new(concat!(
            $(stringify!($hooked), "\0",)*
            $(stringify!($needed), "\0",)*
        ));

        static FOUND: [AtomicUsize; COUNT] = [const { AtomicUsize::new(0) }; COUNT];
    };
}

// The one list of names. `hooked`: what we export, and whose originals the
// hooks call. `needed`: what we call of libc besides.
names! {
    hooked {
        // hooks/signal.rs
        sigaction __sigaction sigaltstack sigstack
        signal __sysv_signal sigset siginterrupt
        // hooks/wait.rs
        wait __wait waitpid __waitpid wait3 wait4 waitid
        // hooks/syscall.rs
        syscall
        // hooks/memory.rs
        madvise process_madvise munmap mmap mmap64 mremap brk sbrk shmat shmdt
        mprotect pkey_mprotect mlock mlock2 mlockall munlock munlockall
        // hooks/confine.rs
        prctl
        // hooks/process.rs
        _Fork
        // hooks/thread.rs
        pthread_create thrd_create
    }
    needed {
        __errno_location
        pthread_setcanceltype pthread_setcancelstate
        pthread_key_create pthread_setspecific
        pthread_attr_init pthread_attr_destroy pthread_attr_getstack
        pthread_attr_getstacksize pthread_attr_getguardsize
        __register_atfork pthread_atfork
        fork
    }
}

/// The address behind our hook of that name, if there is one.
/// Async-signal-safe once the constructor has run.
#[inline]
pub fn get(id: Id) -> Option<usize> {
    let place = FOUND.get(id as usize)?;
    match place.load(Ordering::Relaxed) {
        0 => resolve_late(place),
        address => Some(address),
    }
}

/// Where one of these is missing, the hook serves by the other: we export
/// both names in every process, so a program may find one that its libc lacks.
const ALIASES: &[(Id, Id)] = &[
    (Id::__sigaction, Id::sigaction),
    (Id::_Fork, Id::fork),
    (Id::__wait, Id::wait),
    (Id::__waitpid, Id::waitpid),
];

/// A hook was called before the constructor, or for a library that was loaded
/// after it.
#[cold]
#[inline(never)] // for size: every hook asks
fn resolve_late(place: &AtomicUsize) -> Option<usize> {
    walk();
    Some(place.load(Ordering::Relaxed)).filter(|&address| address != 0)
}

/// Looks all names up: the walk, and `dlsym` if the walk did not find libc.
pub fn resolve() {
    walk();
    if peek(Id::sigaction).is_none() {
        ask_dlsym();
    }
    for (alias, name) in ALIASES {
        if let (None, Some(place)) = (peek(*alias), FOUND.get(*alias as usize)) {
            place.store(peek(*name).unwrap_or(0), Ordering::Relaxed);
        }
    }
    // SAFETY: found under that name, or 0.
    unsafe { sigward_core::sys::errno::locate(peek(Id::__errno_location).unwrap_or(0)) };
}

/// What was found so far, without another walk.
pub fn peek(id: Id) -> Option<usize> {
    FOUND.get(id as usize).map(|place| place.load(Ordering::Relaxed)).filter(|&found| found != 0)
}

/// State of one walk.
struct Walk {
    /// Whether our own object has been passed.
    behind_ours: bool,
}

fn walk() {
    let Some(iterate) = super::weak::dl_iterate_phdr() else { return };
    let mut walk = Walk { behind_ours: false };
    // SAFETY: the loader's own function; `visit` matches what it calls and
    // `walk` outlives the call.
    unsafe { iterate(visit, (&raw mut walk).cast()) };
}

/// One loaded object. Returns non-zero to end the walk.
unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    walk: *mut c_void,
) -> c_int {
    // SAFETY: the loader gives a live record, and the pointer that `walk` gave.
    let (info, walk) = unsafe { (&*info, &mut *walk.cast::<Walk>()) };
    let bias = info.dlpi_addr as usize;
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the loader's record of the object's program headers.
    let headers = unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    if !walk.behind_ours {
        let here = visit as *const () as usize;
        walk.behind_ours = holds(bias, headers, here);
        return 0;
    }
    // SAFETY: the object is loaded, and stays so during the callback.
    let Some(object) = (unsafe { Object::read(bias, headers) }) else { return 0 };
    let mut missing = 0;
    for (name, place) in NAMES.iter().zip(&FOUND) {
        if place.load(Ordering::Relaxed) == 0 {
            match object.find(name) {
                Some(address) => place.store(address, Ordering::Relaxed),
                None => missing += 1,
            }
        }
    }
    c_int::from(missing == 0)
}

/// The first of `names` that a loaded object defines: the program, or `any`.
pub fn first_defined(names: &'static Names, any: bool) -> Option<&'static str> {
    let mut search = Search { names, any, found: None };
    let iterate = super::weak::dl_iterate_phdr()?;
    // SAFETY: the loader's own function; `look` matches what it calls and
    // `search` outlives the call.
    unsafe { iterate(look, (&raw mut search).cast()) };
    search.found
}

/// State of one search.
struct Search {
    names: &'static Names,
    any: bool,
    found: Option<&'static str>,
}

/// One loaded object. Returns non-zero to end the search.
unsafe extern "C" fn look(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    search: *mut c_void,
) -> c_int {
    // SAFETY: the loader gives a live record, and the pointer that was given.
    let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the loader's record of the object's program headers.
    let headers = unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    // SAFETY: the object is loaded, and stays so during the callback.
    if let Some(object) = unsafe { Object::read(info.dlpi_addr as usize, headers) } {
        search.found =
            search.names.iter().find(|name| object.find(*name).is_some()).map(Name::text);
    }
    // The program comes first.
    c_int::from(search.found.is_some() || !search.any)
}

/// Whether `address` lies in libc, or in a part of it such as glibc's old
/// libpthread, and not in another library between us and libc. In doubt it
/// does. For use at load.
pub fn is_libcs(address: usize) -> bool {
    let mut home = Home { address, is_libc: true };
    if let Some(iterate) = super::weak::dl_iterate_phdr() {
        // SAFETY: the loader's own function; `knock` matches what it calls and
        // `home` outlives the call.
        unsafe { iterate(knock, (&raw mut home).cast()) };
    }
    home.is_libc
}

/// State of that walk.
struct Home {
    address: usize,
    is_libc: bool,
}

/// One loaded object. Returns non-zero to end the walk.
unsafe extern "C" fn knock(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    home: *mut c_void,
) -> c_int {
    /// What each part of a libc defines, and nobody else.
    static MARK: Table<1> = Table::new("__errno_location\0");
    // SAFETY: the loader gives a live record, and the pointer that was given.
    let (info, home) = unsafe { (&*info, &mut *home.cast::<Home>()) };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    let bias = info.dlpi_addr as usize;
    // SAFETY: the loader's record of the object's program headers.
    let headers = unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    if !holds(bias, headers, home.address) {
        return 0;
    }
    // SAFETY: the object is loaded, and stays so during the callback.
    if let Some(object) = unsafe { Object::read(bias, headers) } {
        home.is_libc = MARK.iter().any(|name| object.find(name).is_some());
    }
    1
}

/// Whether a segment of that object holds `address`.
fn holds(bias: usize, headers: &[libc::Elf64_Phdr], address: usize) -> bool {
    headers.iter().any(|header| {
        let start = bias.wrapping_add(header.p_vaddr as usize);
        header.p_type == libc::PT_LOAD && address.wrapping_sub(start) < header.p_memsz as usize
    })
}

/// `RTLD_NEXT` for each name that is missing. Allocates in libc where a name
/// does not exist; it is a last resort at load.
fn ask_dlsym() {
    type Dlsym = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;
    let Some(dlsym) = super::weak::dlsym() else { return };
    // SAFETY: the loader's `dlsym`.
    let dlsym = unsafe { core::mem::transmute::<usize, Dlsym>(dlsym) };
    for (name, place) in NAMES.iter().zip(&FOUND) {
        let mut text = [0_u8; 32];
        let bytes = name.text().as_bytes();
        // One byte stays for the NUL.
        let Some(start) = text.get_mut(..bytes.len().min(31)) else { continue };
        start.copy_from_slice(bytes.get(..start.len()).unwrap_or_default());
        // SAFETY: a NUL-terminated name.
        let found = unsafe { dlsym(libc::RTLD_NEXT, text.as_ptr().cast()) };
        if place.load(Ordering::Relaxed) == 0 {
            place.store(found as usize, Ordering::Relaxed);
        }
    }
}
