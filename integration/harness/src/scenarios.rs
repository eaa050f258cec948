//! The scenarios: what a program may do between two signals, and what the next one costs.
//!
//! One table, for the tests and for `docs/faults.md`. A program takes a scenario's name as
//! its argument, warms a stack up with SIGUSR1, disturbs it, and takes SIGUSR2: the faults
//! of those deliveries are counted.

use std::io;

use crate::frames::Frame;
use crate::programs::{self, Libc};
use crate::run::{Outcome, Run};

/// One scenario of a program.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// The program's argument.
    pub name: &'static str,
    /// What happens, for the table.
    pub does: &'static str,
    /// Whether this kernel takes a fault without the library.
    pub shown: bool,
}

/// The scenarios of one program.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The program in `integration/programs`.
    pub program: &'static str,
    /// The heading in the table.
    pub title: &'static str,
    /// Its scenarios.
    pub scenarios: &'static [Scenario],
}

const fn faults(name: &'static str, does: &'static str) -> Scenario {
    Scenario { name, does, shown: true }
}

/// The kernel takes no fault here anyway: what is tested is that we add none.
const fn quiet(name: &'static str, does: &'static str) -> Scenario {
    Scenario { name, does, shown: false }
}

/// Forks, and what looks like one.
pub const FORKS: Family = Family {
    program: "forked",
    title: "fork",
    scenarios: &[
        faults("child", "in the child of fork(2)"),
        faults("parent", "in the parent"),
        faults("child-bare", "in the child of _Fork(3)"),
        faults("parent-bare", "in its parent"),
        faults("child-pty", "in the child of forkpty(3)"),
        faults("parent-pty", "in its parent"),
        faults("child-daemon", "after daemon(3)"),
        faults("grandchild", "in both after a fork in a child"),
        faults("many-times", "in the parent, after each of 20 forks"),
        faults("other-threads", "in four other threads of the parent"),
        faults("threads-in-a-storm", "in four threads that take signals without end, 20 forks"),
        faults("from-a-thread", "in the child, the thread that forked, and four others"),
        faults("in-a-handler", "fork on the alternate stack: nested and afterwards, both sides"),
        quiet("failing", "after a fork that failed"),
        faults("ordinary-child", "in the child, on the ordinary stack"),
        faults("ordinary-parent", "in the parent, on the ordinary stack"),
        quiet("vfork", "after vfork(2), whose child disabled its stack"),
        quiet("vfork-new-stack", "after vfork(2), whose child set another stack"),
        quiet("spawn", "after posix_spawn(3)"),
        quiet("clone-vm", "after clone(2) with CLONE_VM and CLONE_VFORK"),
    ],
};

/// All of them.
pub const ALL: &[Family] = &[FORKS];

/// What was seen of a scenario.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The deliveries of SIGUSR2, in order.
    pub frames: Vec<Frame>,
    /// Output and end of the program.
    pub outcome: Outcome,
}

impl Seen {
    /// Page faults in all of these deliveries.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.frames.iter().map(|frame| frame.faults).sum()
    }
}

impl Family {
    /// Runs a scenario under the meter, with the library if `library`.
    ///
    /// # Errors
    ///
    /// When it cannot be built or run.
    pub fn measure(&self, name: &str, libc: Libc, library: bool) -> io::Result<Seen> {
        let run = Run::new(programs::build(self.program, libc)?).arg(name);
        let run = if library { run.sigward("on") } else { run };
        let trace = run.frames()?;
        let mut frames = trace.frames;
        frames.retain(|frame| frame.signal == libc::SIGUSR2);
        Ok(Seen { frames, outcome: trace.outcome })
    }
}
