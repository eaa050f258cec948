//! The dead man's switch: kills whatever hangs, after a deadline.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The kill is repeated at this interval: a process that forks while it is killed may
/// leave a child that the first round did not see.
const REPEAT: Duration = Duration::from_millis(100);

/// An armed switch. Dropping it disarms it.
pub struct DeadMan {
    disarm: Option<Sender<()>>,
    thread: Option<JoinHandle<bool>>,
}

impl DeadMan {
    /// Calls `kill` after `after`, and again until disarmed.
    pub fn arm(after: Duration, kill: impl Fn() + Send + 'static) -> Self {
        let (disarm, disarmed) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut patience = after;
            let mut fired = false;
            while disarmed.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                kill();
                fired = true;
                patience = REPEAT;
            }
            fired
        });
        Self { disarm: Some(disarm), thread: Some(thread) }
    }

    /// Disarms the switch and returns whether it had fired.
    pub fn disarm(mut self) -> bool {
        self.stop()
    }

    fn stop(&mut self) -> bool {
        drop(self.disarm.take());
        self.thread.take().is_some_and(|thread| thread.join().unwrap_or(true))
    }
}

impl Drop for DeadMan {
    fn drop(&mut self) {
        self.stop();
    }
}
