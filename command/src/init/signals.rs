//! Signals as numbers: libraries know no real-time ones.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::str::FromStr;
use std::time::Duration;

/// The kernel's set: one bit for each of the 64 signals.
type Mask = u64;

/// The last one.
const LAST: c_int = 64;
/// Real-time signals that libcs use themselves: glibc the first two, musl all three.
const OF_LIBC: std::ops::RangeInclusive<c_int> = 32..=34;
/// What programs call SIGRTMIN: glibc's.
const RTMIN: c_int = 34;

const NAMES: [(&str, c_int); 34] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("IOT", libc::SIGIOT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("POLL", libc::SIGPOLL),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

/// A signal given by its number or name, as kill(1) takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(pub c_int);

impl FromStr for Signal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("SIG").unwrap_or(text);
        let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        let real_time = || {
            if let Some(rest) = name.strip_prefix("RTMIN") {
                let more =
                    if rest.is_empty() { 0 } else { rest.strip_prefix('+')?.parse().ok()? };
                return RTMIN.checked_add(more);
            }
            let rest = name.strip_prefix("RTMAX")?;
            let less: c_int =
                if rest.is_empty() { 0 } else { rest.strip_prefix('-')?.parse().ok()? };
            LAST.checked_sub(less).filter(|number| *number >= RTMIN)
        };
        let number = known.or_else(real_time).or_else(|| name.parse().ok());
        number.filter(|number| (1..=LAST).contains(number)).map(Self).ok_or_else(|| {
            format!("{text} is no signal; accepted: names as TERM, SIGTERM or RTMIN+3, and 1 to 64")
        })
    }
}

/// `A:B`: send B where A was received; 0 as B sends none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    pub from: Signal,
    pub to: Option<Signal>,
}

impl FromStr for Rewrite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once(':').ok_or("accepted: FROM:TO, as in TERM:QUIT")?;
        let to = if to == "0" { None } else { Some(to.parse()?) };
        Ok(Self { from: from.parse()?, to })
    }
}

/// What a signal brought.
pub struct Received {
    pub number: c_int,
    info: libc::siginfo_t,
}

impl Received {
    /// Whether init passes it on: not those that say something to init, or to its libc.
    pub fn is_for_the_program(&self) -> bool {
        self.number != libc::SIGCHLD && !OF_LIBC.contains(&self.number)
    }

    /// Sends `signal` to `process`, with the value that came with this one.
    pub fn queue(&mut self, process: libc::pid_t, signal: c_int) -> bool {
        // The kernel lets nobody but itself use other codes.
        if self.info.si_code != libc::SI_QUEUE {
            return false;
        }
        self.info.si_signo = signal;
        // SAFETY: `info` is a whole siginfo_t.
        unsafe {
            libc::syscall(libc::SYS_rt_sigqueueinfo, process, signal, &raw const self.info) == 0
        }
    }
}

/// Blocks all signals, libc's own too, and returns the old set. They then stay pending: also for
/// the first process of a container, to which the kernel otherwise gives none without a handler.
pub fn block_all() -> Mask {
    set_mask(!0)
}

/// Sets which signals are blocked, and returns the old set. Async-signal-safe.
pub fn set_mask(mask: Mask) -> Mask {
    let mut old = 0;
    // SAFETY: both point at sets of the size that is given.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut old,
            size_of::<Mask>(),
        );
    }
    old
}

/// Waits for the next blocked signal, for `limit` at most. Of several, the kernel gives the lowest
/// first, and real-time ones of the same number in the order in which they were sent.
pub fn wait(limit: Option<Duration>) -> Option<Received> {
    let all: Mask = !0;
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    });
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the set and its size; room for what came; the limit or null.
    let number = unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const all,
            info.as_mut_ptr(),
            limit.as_ref().map_or(ptr::null(), ptr::from_ref),
            size_of::<Mask>(),
        )
    };
    // SAFETY: all zeroes are valid, and the kernel fills it.
    (number > 0).then(|| Received { number: number as c_int, info: unsafe { info.assume_init() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in [
            ("TERM", Some(15)),
            ("SIGTERM", Some(15)),
            ("15", Some(15)),
            ("RTMIN", Some(34)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX-1", Some(63)),
            ("RTMAX", Some(64)),
            ("0", None),
            ("65", None),
            ("RTMIN+31", None),
            ("RTMAX-31", None),
            ("term", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), number.map(Signal), "{text}");
        }
    }

    #[test]
    fn rewrites_have_two_signals() {
        let rewrite = |from, to: Option<c_int>| Rewrite { from: Signal(from), to: to.map(Signal) };
        assert_eq!("TERM:3".parse(), Ok(rewrite(15, Some(3))));
        assert_eq!("HUP:0".parse(), Ok(rewrite(1, None)));
        assert!("TERM".parse::<Rewrite>().is_err());
        assert!("TERM:".parse::<Rewrite>().is_err());
    }
}
