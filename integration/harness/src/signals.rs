//! Signals for `sigward run --init`, and what the program `receiver` behind it says of them.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::io::BufRead;

use libc::pid_t;

/// The values that came with each signal, in their order; -1 for one that kill(2) sent.
pub type Values = BTreeMap<c_int, Vec<c_int>>;

/// They clear each other while they are pending.
const STOPS: [c_int; 4] = [libc::SIGCONT, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
/// Those that an init keeps for itself, or never sees.
const NEVER: [c_int; 3] = [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD];
/// How often each real-time signal is sent.
const TIMES: c_int = 20;
/// Ends the program, with code 3.
const LAST: (c_int, c_int) = (64, 999);

/// Sends `signal` to a process.
///
/// # Panics
///
/// If the kernel refuses.
pub fn send(process: pid_t, signal: c_int) {
    // SAFETY: a plain call.
    assert_eq!(unsafe { libc::kill(process, signal) }, 0, "{signal}");
}

/// Queues `signal` for a process, with a value.
///
/// # Panics
///
/// If the kernel refuses.
pub fn queue(process: pid_t, signal: c_int, value: c_int) {
    let value = libc::sigval { sival_ptr: value as usize as *mut c_void };
    // SAFETY: a plain call.
    assert_eq!(unsafe { libc::sigqueue(process, signal, value) }, 0, "{signal}");
}

/// Sends `init` all signals of kill(1) but KILL, STOP and CHLD, and libc's own; real-time ones many
/// times. `output` is the program's, of which `ready` has been read. Returns what was sent and
/// what the program received, which has ended then.
///
/// # Panics
///
/// If the program writes something else than signals.
pub fn send_all(init: pid_t, output: &mut impl BufRead) -> (Values, Values) {
    let mut line = String::new();
    for signal in STOPS {
        send(init, signal);
        line.clear();
        output.read_line(&mut line).expect("a line");
        assert_eq!(line, format!("{signal} -1\n"));
    }
    let mut sent = Values::new();
    for signal in (1..32).filter(|signal| ![&STOPS[..], &NEVER].concat().contains(signal)) {
        send(init, signal);
        sent.insert(signal, vec![-1]);
    }
    for value in 0..TIMES {
        for signal in 35..=64 {
            queue(init, signal, value);
            sent.entry(signal).or_default().push(value);
        }
    }
    let (signal, value) = LAST;
    queue(init, signal, value);
    sent.entry(signal).or_default().push(value);
    let mut received = Values::new();
    for line in output.lines() {
        let line = line.expect("a line");
        let (signal, value) = line.split_once(' ').expect("two numbers");
        let value = value.parse().expect("a number");
        received.entry(signal.parse().expect("a number")).or_default().push(value);
    }
    (sent, received)
}
