//! What the program asked for, as two halves.

use core::ffi::{c_int, c_void};

use crate::os::call::{self, Outcome};
use crate::os::errno::{self, Errno};

/// The options that wait4(2) accepts; with any other it fails at once.
const WAIT4_OPTIONS: c_int = libc::WNOHANG
    | libc::WUNTRACED
    | libc::WCONTINUED
    | libc::__WNOTHREAD
    | libc::__WCLONE
    | libc::__WALL;

/// What a sleep waits for: the numeric arguments of waitid(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// `P_ALL`, `P_PID`, `P_PGID` or `P_PIDFD`.
    pub kind: c_int,
    /// The id of that kind.
    pub id: c_int,
    /// `WEXITED` and so on, with `WNOWAIT`, without `WNOHANG`.
    pub options: c_int,
}

/// The call to make once there is something to report.
#[derive(Clone, Copy)]
enum Reap {
    Wait4 { pid: c_int, status: *mut c_int, options: c_int, usage: *mut c_void },
    Waitid { kind: c_int, id: c_int, info: *mut c_void, options: c_int, usage: *mut c_void },
}

/// A wait that may sleep.
#[derive(Clone, Copy)]
pub struct Request {
    event: Event,
    reap: Reap,
    other: Option<Other>,
}

/// A function of another library, between us and libc, that should see the
/// reap. It is called with `WNOHANG`, with all signals blocked and cancellation
/// disabled, and reports errors by `errno`.
#[derive(Clone, Copy)]
pub enum Other {
    /// waitpid(2).
    Waitpid(unsafe extern "C" fn(c_int, *mut c_int, c_int) -> c_int),
    /// wait3(2).
    Wait3(unsafe extern "C" fn(*mut c_int, c_int, *mut c_void) -> c_int),
    /// wait4(2).
    Wait4(unsafe extern "C" fn(c_int, *mut c_int, c_int, *mut c_void) -> c_int),
    /// waitid(2).
    Waitid(unsafe extern "C" fn(c_int, c_int, *mut c_void, c_int) -> c_int),
}

impl Request {
    /// `wait4(pid, status, options, usage)`, which includes wait, waitpid and
    /// wait3. `None` if the call never sleeps, because `WNOHANG` was given or
    /// because the kernel refuses it whatever the children do; then it is left
    /// to libc.
    #[must_use]
    pub fn wait4(
        pid: c_int,
        status: *mut c_int,
        options: c_int,
        usage: *mut c_void,
    ) -> Option<Self> {
        if options & libc::WNOHANG != 0 || options & !WAIT4_OPTIONS != 0 || pid == c_int::MIN {
            return None;
        }
        let (kind, id) = match pid {
            -1 => (libc::P_ALL, 0),
            // The caller's own group; Linux 5.4 and later accept 0 for it.
            0 => (libc::P_PGID, 0),
            group if group < 0 => (libc::P_PGID, -group),
            _ => (libc::P_PID, pid),
        };
        let options_of_sleep = options | libc::WEXITED | libc::WNOWAIT;
        Some(Request {
            event: Event { kind: kind as c_int, id, options: options_of_sleep },
            reap: Reap::Wait4 { pid, status, options, usage },
            other: None,
        })
    }

    /// `waitid(kind, id, info, options)`; `usage` is an argument of the system
    /// call that libc's function lacks. `None` if the call never sleeps.
    #[must_use]
    pub fn waitid(
        kind: c_int,
        id: c_int,
        info: *mut c_void,
        options: c_int,
        usage: *mut c_void,
    ) -> Option<Self> {
        (options & libc::WNOHANG == 0).then_some(Request {
            event: Event { kind, id, options: options | libc::WNOWAIT },
            reap: Reap::Waitid { kind, id, info, options, usage },
            other: None,
        })
    }

    /// The same request, reaped by `other` if given.
    #[must_use]
    pub fn through(self, other: Option<Other>) -> Self {
        Request { other, ..self }
    }

    /// Whether another library should see the reap.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        self.other.is_some()
    }

    /// What to sleep for.
    #[must_use]
    pub fn event(&self) -> Event {
        self.event
    }

    /// Whether this is a wait4(2): waitid(2) of old kernels refuses some
    /// requests that wait4 accepts.
    #[must_use]
    pub fn is_wait4(&self) -> bool {
        matches!(self.reap, Reap::Wait4 { .. })
    }

    /// Whether the wait is for a nonblocking pidfd: it never sleeps, and fails
    /// with EAGAIN instead.
    #[must_use]
    pub fn is_nonblocking(&self) -> bool {
        self.event.kind == libc::P_PIDFD as c_int
            && call::file_flags(self.event.id)
                .is_ok_and(|flags| flags as c_int & libc::O_NONBLOCK != 0)
    }

    /// Whether there is something to reap. Asks only if a reap that finds
    /// nothing would have an effect: waitid(2) writes its siginfo even then,
    /// which may fail, and another library would see the call. Otherwise always
    /// true.
    #[must_use]
    pub fn is_reportable(&self) -> bool {
        if self.is_wait4() && !self.is_seen() {
            return true;
        }
        let mut siginfo = [0_i32; 32];
        let place = siginfo.as_mut_ptr() as usize;
        let Event { kind, id, options } = self.event;
        let options = (options | libc::WNOHANG) as usize;
        // SAFETY: it is as long as the kernel's siginfo, 128 bytes.
        let asked =
            unsafe { call::raw(libc::SYS_waitid, [kind as usize, id as usize, place, options, 0]) };
        let [signal, ..] = siginfo;
        // Errors are for the reap to report.
        asked.is_err() || signal != 0
    }

    /// The second half: reaps if there is something to reap, and never sleeps.
    /// `None` if there is nothing, because another waiter was faster.
    ///
    /// # Errors
    /// Those of the call. EFAULT means that the child was reaped but the
    /// program's pointer is bad.
    ///
    /// # Safety
    /// As for [`super::run`].
    #[must_use]
    #[inline]
    pub unsafe fn reap(&self) -> Option<Outcome> {
        match self.other {
            // SAFETY: the caller's contract.
            Some(other) => unsafe { self.reap_by(other) },
            // SAFETY: as above.
            None => unsafe { self.reap_raw() },
        }
    }

    /// Like [`Request::reap`], but by the kernel alone. For places where no
    /// other library's code may run: in front of a handler.
    ///
    /// # Errors
    /// As above.
    ///
    /// # Safety
    /// As above.
    #[must_use]
    #[inline]
    pub unsafe fn reap_raw(&self) -> Option<Outcome> {
        // SAFETY: the caller's contract.
        unsafe { self.enter(libc::WNOHANG) }
    }

    #[cold]
    unsafe fn reap_by(&self, other: Other) -> Option<Outcome> {
        let _kept = errno::Kept::now();
        // SAFETY: the caller's own arguments, to the function that it meant to
        // call; `own` is as long as the kernel's siginfo.
        let got = unsafe {
            match (self.reap, other) {
                (Reap::Wait4 { pid, status, options, .. }, Other::Waitpid(function)) => {
                    Some(function(pid, status, options | libc::WNOHANG))
                }
                (Reap::Wait4 { status, options, usage, .. }, Other::Wait3(function)) => {
                    Some(function(status, options | libc::WNOHANG, usage))
                }
                (Reap::Wait4 { pid, status, options, usage }, Other::Wait4(function)) => {
                    Some(function(pid, status, options | libc::WNOHANG, usage))
                }
                (Reap::Waitid { kind, id, info, options, .. }, Other::Waitid(function)) => {
                    let mut own = [0_i32; 32];
                    let siginfo = if info.is_null() { own.as_mut_ptr().cast() } else { info };
                    let got = function(kind, id, siginfo, options | libc::WNOHANG);
                    // As in `enter`: 1 means a child.
                    let nothing = got == 0 && siginfo.cast::<i32>().read_volatile() == 0;
                    Some(if got == 0 { c_int::from(!nothing) } else { got })
                }
                _ => None,
            }
        };
        let Some(got) = got else {
            // No function for this request.
            // SAFETY: the caller's contract.
            return unsafe { self.reap_raw() };
        };
        match got {
            0 => None,
            _ if got < 0 => Some(Err(Errno(errno::get()))),
            _ if self.is_wait4() => Some(Ok(got as usize)),
            _ => Some(Ok(0)),
        }
    }

    /// The call as requested, which sleeps in the kernel with all its
    /// arguments.
    ///
    /// # Errors
    /// Those of the call.
    ///
    /// # Safety
    /// As for [`super::run`].
    pub unsafe fn plain(&self) -> Outcome {
        // SAFETY: the caller's contract. Without WNOHANG there is an answer.
        unsafe { self.enter(0) }.unwrap_or(Err(Errno::ECHILD))
    }

    unsafe fn enter(&self, more: c_int) -> Option<Outcome> {
        match self.reap {
            Reap::Wait4 { pid, status, options, usage } => {
                let options = (options | more) as usize;
                let args = [pid as usize, status as usize, options, usage as usize];
                // SAFETY: the kernel checks the pointers.
                let outcome = unsafe { call::raw(libc::SYS_wait4, args) };
                (outcome != Ok(0)).then_some(outcome)
            }
            Reap::Waitid { kind, id, info, options, usage } => {
                // Only the siginfo tells whether there was something: signal 0
                // in its first word means no. If the program gave no siginfo,
                // use our own.
                let mut own = [0_i32; 32];
                let siginfo = if info.is_null() { own.as_mut_ptr().cast() } else { info };
                let options = (options | more) as usize;
                let args = [kind as usize, id as usize, siginfo as usize, options, usage as usize];
                // SAFETY: the kernel checks the pointers; `own` is as long as
                // its siginfo, 128 bytes.
                let outcome = unsafe { call::raw(libc::SYS_waitid, args) };
                // SAFETY: the kernel has just written there.
                let nothing =
                    outcome.is_ok() && unsafe { siginfo.cast::<i32>().read_volatile() } == 0;
                (!nothing).then_some(outcome)
            }
        }
    }

    /// Ends the wait with the sleep's error. On errors too, waitid(2) writes
    /// its siginfo.
    ///
    /// # Errors
    /// `error`, or EFAULT where the kernel would return it.
    ///
    /// # Safety
    /// As for [`super::run`].
    #[cold]
    pub unsafe fn fail(&self, error: Errno) -> Outcome {
        if let Reap::Waitid { info, .. } = self.reap
            && !info.is_null()
        {
            // There is no event to wait for: the kernel refuses this with
            // EINVAL after it has written the siginfo that goes with every
            // error.
            let args = [libc::P_ALL as usize, 0, info as usize, 0, 0];
            // SAFETY: the kernel checks the pointer.
            if unsafe { call::raw(libc::SYS_waitid, args) } == Err(Errno::EFAULT) {
                return Err(Errno::EFAULT);
            }
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr::null_mut;

    fn event(pid: c_int, options: c_int) -> Option<(u32, c_int, c_int)> {
        Request::wait4(pid, null_mut(), options, null_mut())
            .map(|request| request.event())
            .map(|event| (event.kind as u32, event.id, event.options))
    }

    #[test]
    fn every_selector_is_mapped() {
        let exited = libc::WEXITED | libc::WNOWAIT;
        assert_eq!(event(-1, 0), Some((libc::P_ALL, 0, exited)));
        assert_eq!(event(0, 0), Some((libc::P_PGID, 0, exited)));
        assert_eq!(event(7, 0), Some((libc::P_PID, 7, exited)));
        assert_eq!(event(-7, 0), Some((libc::P_PGID, 7, exited)));
        assert_eq!(event(-c_int::MAX, 0), Some((libc::P_PGID, c_int::MAX, exited)));
        let more = libc::WUNTRACED | libc::WCONTINUED | libc::__WALL;
        assert_eq!(event(7, more), Some((libc::P_PID, 7, exited | more)));
    }

    #[test]
    fn what_never_sleeps_is_left_alone() {
        assert_eq!(event(c_int::MIN, 0), None);
        assert_eq!(event(-1, libc::WNOHANG), None);
        assert_eq!(event(-1, libc::WNOWAIT), None, "wait4 refuses WNOWAIT");
        let hang = Request::waitid(0, 0, null_mut(), libc::WEXITED | libc::WNOHANG, null_mut());
        assert!(hang.is_none());
    }
}
