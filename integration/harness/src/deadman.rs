//! The dead-man's switch: whatever may hang is killed after its deadline.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often a kill is repeated: a process that forks while it is killed may leave a
/// child which the first round did not see.
const REPEAT: Duration = Duration::from_millis(100);

/// An armed switch. It is disarmed when dropped.
pub struct DeadMan {
    disarm: Option<Sender<()>>,
    thread: Option<JoinHandle<bool>>,
}

impl DeadMan {
    /// Calls `kill` once `after` has passed, and again until disarmed.
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

    /// Disarms the switch and says whether it had fired.
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
