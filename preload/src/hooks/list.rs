//! The list of hooks: a new one begins here. Its function goes into the file
//! that the comment above its name says.
//!
//! `hooked` is what we export, and whose originals the hooks call; `needed` is
//! what else we call in libc. [`crate::originals`] looks both up.

use core::sync::atomic::AtomicUsize;

use sigward_core::loaded::SymbolList;

/// Defines [`Id`] and the table of names.
macro_rules! names {
    (hooked { $($hooked:ident)* } needed { $($needed:ident)* }) => {
        /// The names that are looked up, by their position in the table.
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "libc's names")]
        #[derive(Clone, Copy)]
        pub enum Id { $($hooked,)* $($needed,)* }

        const COUNT: usize = [$(Id::$hooked,)* $(Id::$needed,)*].len();

        /// The same as C strings.
        pub static NAMES: SymbolList<COUNT> = SymbolList::new(concat!(
            $(stringify!($hooked), "\0",)*
            $(stringify!($needed), "\0",)*
        ));

        /// What was found so far, by [`Id`]: an address that stays valid, or 0.
        pub static FOUND: [AtomicUsize; COUNT] = [const { AtomicUsize::new(0) }; COUNT];
    };
}

names! {
    hooked {
        // hooks/signal.rs
        sigaction __sigaction sigaltstack sigstack
        signal ssignal bsd_signal sysv_signal __sysv_signal sigset siginterrupt
        // hooks/wait.rs
        wait __wait waitpid __waitpid wait3 wait4 waitid
        // hooks/syscall.rs
        syscall
        // hooks/memory.rs
        madvise process_madvise munmap mmap mmap64 mremap brk sbrk shmat shmdt
        mprotect pkey_mprotect mlock mlock2 mlockall munlock munlockall
        // hooks/seccomp.rs
        prctl
        // hooks/fork.rs
        _Fork
        // hooks/thread.rs
        pthread_create thrd_create
    }
    needed {
        __errno_location
        pthread_setcanceltype pthread_setcancelstate
        pthread_key_create pthread_setspecific
        pthread_attr_init pthread_attr_destroy pthread_attr_getstack
        pthread_attr_getstacksize pthread_attr_getguardsize pthread_attr_setstacksize
        __register_atfork pthread_atfork
        getauxval
        fork
    }
}
