//! The scenarios: what a program may do between two signals, and what the next signal
//! costs.
//!
//! One table, for the tests and for `docs/faults.md`. A program takes a scenario's name as
//! its argument, warms up a stack with SIGUSR1, disturbs it, and takes SIGUSR2: the faults
//! of those deliveries are counted.

use std::io;
use std::path::Path;

use crate::every_stack;
use crate::frames::Frame;
use crate::need;
use crate::outcome::Outcome;
use crate::programs::{self, Libc};
use crate::run::Run;

/// One scenario of a program.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// The program's argument.
    pub name: &'static str,
    /// What happens, as the table says it.
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

/// The kernel takes no fault here anyway: the test is that we add none.
const fn no_faults(name: &'static str, does: &'static str) -> Scenario {
    Scenario { name, does, shown: false }
}

/// Forks, and calls that look like one.
pub const FORKS: Family = Family {
    program: "forked",
    title: "fork",
    scenarios: &[
        faults("child", "in the child of fork(2)"),
        faults("parent", "in the parent"),
        faults("child-bare", "in the child of _Fork(3)"),
        faults("parent-bare", "in its parent"),
        faults("fork-by-number", "in both, after syscall(SYS_fork)"),
        faults("clone-by-number", "in both, after syscall(SYS_clone) without CLONE_VM"),
        faults("clone3-by-number", "in both, after syscall(SYS_clone3) without CLONE_VM"),
        faults("child-pty", "in the child of forkpty(3)"),
        faults("parent-pty", "in its parent"),
        faults("child-daemon", "after daemon(3)"),
        faults("grandchild", "in both after a fork in a child"),
        faults("many-times", "in the parent, after each of 20 forks"),
        faults(
            "set-after-reading",
            "on a stack set after a fork, on pages that every processor has read",
        ),
        faults("set-after-reading-in-the-child", "the same in the child"),
        faults("own-mapping", "in both, on a stack most of which was never used"),
        faults("other-threads", "in four other threads of the parent"),
        faults("threads-in-a-storm", "in four threads that take signals all the time, 20 forks"),
        faults("from-a-thread", "in the child, the thread that forked, and four others"),
        faults("in-a-handler", "fork on the alternate stack: nested and afterwards, both sides"),
        no_faults("failing", "after a fork that failed"),
        faults("ordinary-child", "in the child, on the ordinary stack"),
        faults("ordinary-parent", "in the parent, on the ordinary stack"),
        no_faults("vfork", "after vfork(2), whose child disabled its stack"),
        no_faults("vfork-new-stack", "after vfork(2), whose child set another stack"),
        no_faults("spawn", "after posix_spawn(3)"),
        no_faults("clone-vm", "after clone(2) with CLONE_VM and CLONE_VFORK"),
        no_faults("clone-vm-by-number", "the same by syscall(SYS_clone), onto another stack"),
        no_faults("clone3-vm-by-number", "the same by syscall(SYS_clone3)"),
        no_faults(
            "clone-stack-by-number",
            "before syscall(SYS_clone) makes a copy on another stack",
        ),
        no_faults("failing-by-number", "after such calls that failed"),
    ],
};

/// The program's own memory calls.
pub const MEMORY_CALLS: Family = Family {
    program: "disturbed",
    title: "memory calls",
    scenarios: &[
        faults("dontneed", "MADV_DONTNEED over exactly the stack"),
        faults("dontneed-all-zero", "the same three times; every byte reads as zero"),
        faults("dontneed-around", "MADV_DONTNEED of a mapping with the stack in its middle"),
        faults("dontneed-part", "MADV_DONTNEED over the stack's top pages and what is above"),
        no_faults("dontneed-posix", "posix_madvise(3) with DONTNEED, which libc ignores"),
        no_faults("dontneed-refused", "MADV_DONTNEED in ways that the kernel refuses"),
        faults("dontneed-over-a-hole", "MADV_DONTNEED over the stack and a hole: ENOMEM"),
        no_faults("dontneed-locked", "MADV_DONTNEED after the program locked the stack: EINVAL"),
        no_faults("dontneed-locked-before", "the same, locked before it was registered"),
        faults(
            "dontneed-file",
            "MADV_DONTNEED over a stack on a private file mapping: the file's content is back",
        ),
        faults("dontneed-shared", "MADV_DONTNEED over a stack on shared memory: its content stays"),
        faults("dontneed-malloc", "MADV_DONTNEED over the whole pages of a malloc'ed stack"),
        faults(
            "dontneed-read-only-part",
            "MADV_DONTNEED over a stack whose lower part is read-only",
        ),
        faults("dontneed-guarded-part", "MADV_DONTNEED over a stack whose lower part is PROT_NONE"),
        no_faults(
            "dontneed-in-a-handler",
            "MADV_DONTNEED below the stack pointer, in a handler on the stack",
        ),
        faults(
            "dontneed-other",
            "MADV_DONTNEED, 200 times, over the stack of a thread that takes signals all the time",
        ),
        faults("dontneed-other-around", "MADV_DONTNEED around another thread's stack"),
        faults(
            "dontneed-other-over-a-hole",
            "MADV_DONTNEED over a hole and another thread's stack: ENOMEM",
        ),
        faults(
            "dontneed-other-up-to-a-lock",
            "MADV_DONTNEED around another thread's stack, up to a page that the program locked",
        ),
        faults(
            "dontneed-other-in-a-handler",
            "MADV_DONTNEED below the stack pointer, in a handler, and over another thread's stack",
        ),
        faults("dontneed-two", "MADV_DONTNEED over the stacks of two other threads"),
        faults("free-and-pageout", "MADV_FREE, then MADV_PAGEOUT to force it"),
        no_faults(
            "free-other",
            "MADV_FREE, 200 times, over the stack of a thread that takes signals all the time",
        ),
        no_faults("pageout", "MADV_PAGEOUT (without swap, no page goes)"),
        faults("pageout-file", "MADV_PAGEOUT over a stack on a shared file mapping"),
        no_faults("cold", "MADV_COLD"),
        faults("remove", "MADV_REMOVE over a stack on shared memory"),
        no_faults("remove-private", "MADV_REMOVE over private memory: EINVAL"),
        faults("guarded", "MADV_GUARD_INSTALL at the stack's end, over all of it, and removed"),
        no_faults("harmless-advice", "MADV_NORMAL, RANDOM, WILLNEED, DONTDUMP"),
        no_faults("process-madvise", "process_madvise(2) with PAGEOUT and COLD"),
        faults(
            "process-madvise-file",
            "process_madvise(2) with PAGEOUT over a stack on a shared file mapping",
        ),
        faults("fixed", "MAP_FIXED over exactly the stack"),
        faults("fixed-by-mmap64", "the same by mmap64(3)"),
        faults("fixed-around", "MAP_FIXED over a region with the stack in its middle"),
        faults("fixed-part", "MAP_FIXED over the stack's top page"),
        faults("fixed-reserved", "MAP_FIXED with PROT_NONE over it, then mprotect(2)"),
        no_faults("fixed-refused", "MAP_FIXED and MAP_FIXED_NOREPLACE that fail"),
        faults("unmapped-and-mapped-again", "munmap(2), then mmap(2) gives the same place"),
        no_faults("unmapping-refused", "munmap(2) that fails"),
        faults("moved-over", "mremap(2) moves a fresh mapping over it"),
        faults("moved-away", "mremap(2) moves it away, a fresh mapping takes its place"),
        faults("moved-away-with-all-around", "the same with the whole mapping around it"),
        faults("moved-but-kept", "mremap(2) with MREMAP_DONTUNMAP"),
        no_faults("moving-refused", "mremap(2) that fails"),
        faults(
            "shrunk-and-grown",
            "mremap(2) cuts it in half, a fresh mapping takes the other half's place",
        ),
        faults("heap-shrunk-and-grown", "a stack on the heap; sbrk(2) down and up"),
        faults("heap-by-brk", "the same by brk(2), half of it"),
        faults("shared-over", "shmat(2) with SHM_REMAP over it"),
        faults("shared-detached", "a stack in a shared segment; shmdt(2), and attached again"),
        no_faults("forbidden-and-allowed", "mprotect(2) to PROT_NONE and back"),
        no_faults("read-only-and-writable", "mprotect(2) to PROT_READ and back"),
        no_faults("keyed", "pkey_mprotect(2) to PROT_NONE and back"),
        faults("keyed-reserved", "MAP_FIXED with PROT_NONE over it, then pkey_mprotect(2)"),
        faults("unlocked", "munlock(2) by the program, then MADV_DONTNEED"),
        faults("all-unlocked", "mlockall(2), munlockall(2), then MADV_DONTNEED"),
    ],
};

/// Handlers without `SA_ONSTACK`.
pub const ORDINARY_STACKS: Family = Family {
    program: "ordinary",
    title: "ordinary stacks",
    scenarios: &[
        faults("main", "in the main thread, 0 to 30 KiB deep"),
        faults("main-grows", "before and after main has used 6 MiB with RLIMIT_MEMLOCK = 64 KiB"),
        faults("main-by-signal", "the same with a handler set by signal(2)"),
        faults("main-by-syscall", "the same with a handler set by syscall(2)"),
        faults("main-without-alternate", "with `SA_ONSTACK`, but no alternate stack"),
        faults("main-late", "in main, which already uses the part of its stack to be held"),
        faults("thread-late", "in a thread that existed before the handler"),
        faults("thread-late-by-signal", "the same with signal(2)"),
        faults("thread-late-without-alternate", "with `SA_ONSTACK`, but no alternate stack"),
        faults("thread-disables", "in a thread that has disabled its alternate stack"),
        faults("thread-past-libc", "in a thread, with a handler set earlier by the instruction"),
        faults("limit-small", "in main, with RLIMIT_STACK = 128 KiB"),
        faults("limit-huge", "with RLIMIT_STACK = 64 GiB"),
        faults("limit-none", "with RLIMIT_STACK unlimited"),
        faults("thread", "in a thread, 0 to 30 KiB deep"),
        no_faults("thread-smallest", "on the smallest stack that a frame fits on"),
        no_faults("thread-smallest-without-guard", "the same without a guard"),
        no_faults("thread-tiny", "after threads on the smallest legal stacks, in main"),
        faults("thread-without-guard", "in a thread with guard size 0"),
        faults("thread-large-guard", "in a thread with a guard of 256 KiB"),
        faults("thread-huge", "in a thread with a stack of 1 GiB"),
        no_faults(
            "thread-given-smallest",
            "on the smallest stack given by pthread_attr_setstack(3)",
        ),
        faults("thread-given", "on a given stack of 1 MiB"),
        faults("thread-by-thrd-create", "in a thread made by thrd_create(3)"),
        faults("thread-unwound", "in threads that end by pthread_exit(3) and pthread_cancel(3)"),
        faults("threads-many", "in 300 threads at once"),
        no_faults("threads-refused", "after threads that could not be made"),
    ],
};

/// Frames far below the top of an alternate stack, and stacks with a guard in them.
pub const NESTED: Family = Family {
    program: "nested",
    title: "deep in a stack",
    scenarios: &[
        faults("small", "in a handler that is 0 to 40 KiB deep in a stack of 64 KiB"),
        faults("small-touched", "the same where nothing may be locked"),
        faults("large", "in one that is equally deep in a stack of 256 KiB"),
        faults("large-touched", "the same where nothing may be locked"),
        faults("large-child", "the same in the child of fork(2)"),
        faults("large-parent", "the same in its parent"),
        faults("touched-parent", "the same in the parent where nothing may be locked"),
        faults("large-dontneed", "the same after MADV_DONTNEED"),
        faults("large-dontneed-other", "the same after MADV_DONTNEED by another thread"),
        faults("guarded", "on a stack whose lowest page is a guard"),
        faults("guarded-touched", "the same where nothing may be locked"),
        faults("guarded-child", "the same in the child of fork(2)"),
        faults("guarded-parent", "the same in its parent"),
        faults("guarded-dontneed", "the same after MADV_DONTNEED"),
        faults("guard-opened", "0 to 40 KiB deep, after mprotect(2) opened a guard of 32 KiB"),
        faults("guard-opened-touched", "the same where nothing may be locked"),
        faults("hole-filled", "the same after MAP_FIXED replaced the guard with memory"),
    ],
};

/// Threads that end.
pub const THREADS: Family = Family {
    program: "ending",
    title: "threads that end",
    scenarios: &[
        faults("returned", "in a thread that returns"),
        faults("exited", "in one that calls pthread_exit(3)"),
        faults("canceled", "in one that is cancelled"),
        faults("detached", "in one that is detached"),
        faults("used-in-destructors", "and in 20 destructors of its data, four rounds"),
        faults("replaced-in-destructors", "on a new stack in each of these destructors"),
        faults("disabled-in-destructors", "in one that disables its stack in its last destructor"),
        faults("unmapped-in-destructors", "in one whose destructors unmap its stack"),
        faults("raw", "in 20 threads made with a bare clone(2)"),
        faults("main-exits-first", "in main, and in a thread after main's pthread_exit(3)"),
        faults("thousand", "in a thousand threads, one after another"),
    ],
};

/// All of them.
pub const ALL: &[Family] = &[FORKS, MEMORY_CALLS, ORDINARY_STACKS, NESTED, THREADS];

/// The exit code of a program whose libc lacks what the scenario needs.
pub const NOT_HERE: i32 = 77;

/// What a scenario runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    /// Nothing: the control.
    Nothing,
    /// The library.
    Library,
    /// The library, which is set to assume that a frame has this many bytes. The real size depends on the CPU,
    /// and determines how much of a stack is held.
    Frames(&'static str),
    /// The library, which puts a larger stack of its own in the place of nearly every alternate stack.
    LargerStacks,
}

/// `AT_MINSIGSTKSZ` on CPUs with AVX-512, and with AMX too.
pub const FRAMES: [&str; 2] = ["3376", "11952"];

/// The library with this CPU's frame size, with each of those, and with stacks of its own.
const LIBRARIES: [With; 4] =
    [With::Library, With::Frames(FRAMES[0]), With::Frames(FRAMES[1]), With::LargerStacks];

/// The result of a scenario.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The deliveries of SIGUSR2, in order.
    pub frames: Vec<Frame>,
    /// Output and exit status of the program.
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
    /// Checks every scenario with each libc: with the library, whatever the frame size, no delivery
    /// faults, and the program prints what it prints without it. The control is the same program
    /// without the library: where `shown`, it faults. Returns what is broken.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        self.broken_with(programs::libcs())
    }

    /// The same with each of `libcs`.
    #[must_use]
    pub fn broken_with(&self, libcs: &[Libc]) -> Vec<String> {
        let all = libcs.iter().flat_map(|libc| {
            self.scenarios.iter().filter_map(move |scenario| {
                let words = self.compare(scenario, *libc).err()?;
                Some(format!("{libc:?} {} {}: {words}", self.program, scenario.name))
            })
        });
        all.collect()
    }

    fn compare(&self, scenario: &Scenario, libc: Libc) -> Result<(), String> {
        let measure = |with| self.measure(scenario.name, libc, with).map_err(|it| it.to_string());
        let without = measure(With::Nothing)?;
        if without.outcome.code() == NOT_HERE {
            let what = format!("{} {} with {}", self.program, scenario.name, libc.name());
            match libc {
                // It has every function that the kernel has.
                Libc::Glibc => _ = need::optional(false, &what, "a newer kernel or glibc"),
                _ => need::left_out(&what, "this libc lacks it"),
            }
            return Ok(());
        }
        // With this libc the fork's own frames have touched the page.
        let touched = libc == Libc::Musl32 && scenario.name == "in-a-handler";
        let scenario = Scenario { shown: scenario.shown && !touched, ..*scenario };
        // A handler that looks for its variables in the program's stack.
        let knows_place = scenario.name.ends_with("in-a-handler");
        let suits = |with: &With| {
            !knows_place || (*with != With::LargerStacks && !every_stack::requested())
        };
        for library in LIBRARIES.into_iter().filter(suits) {
            let with = measure(library)?;
            scenario
                .judge(&without, &with)
                .map_err(|words| format!("{words}\nwithout: {without:?}\n{library:?}: {with:?}"))?;
        }
        Ok(())
    }

    /// Runs a scenario under the meter.
    ///
    /// # Errors
    ///
    /// If it cannot be built or run.
    pub fn measure(&self, name: &str, libc: Libc, with: With) -> io::Result<Seen> {
        let run = run(programs::build(self.program, libc)?, name);
        observe(&match with {
            With::Nothing => run,
            With::Library => run.sigward("on"),
            With::Frames(bytes) => run.sigward("on").env("SIGWARD_FRAME", bytes),
            With::LargerStacks => every_stack::SETTINGS
                .iter()
                .fold(run.sigward("on"), |run, (name, value)| run.env(name, value)),
        })
    }
}

impl Scenario {
    /// Compares the results without and with the library with what is promised.
    ///
    /// # Errors
    ///
    /// The promise that is broken.
    pub fn judge(&self, without: &Seen, with: &Seen) -> Result<(), &'static str> {
        if without.outcome.code() == NOT_HERE {
            return Ok(());
        }
        let promises = [
            (without.outcome.success(), "it does not run"),
            (with.outcome == without.outcome, "the library changes what it prints"),
            (!with.frames.is_empty(), "no signal came"),
            (!self.shown || without.faults() > 0, "the control takes no fault"),
            (with.faults() == 0, "it faults with the library"),
        ];
        match promises.iter().find(|(kept, _)| !kept) {
            Some((_, words)) => Err(words),
            None => Ok(()),
        }
    }
}

/// A run of the scenario `name` of a program that is already built.
#[must_use]
pub fn run(program: impl AsRef<Path>, name: &str) -> Run {
    // At a delivery the kernel also writes to the thread's rseq area, which glibc keeps
    // beside its own data. That happens before the frame is written and does not concern
    // the defect.
    Run::new(program).arg(name).env("GLIBC_TUNABLES", "glibc.pthread.rseq=0")
}

/// Runs it under the meter.
///
/// # Errors
///
/// If the program cannot be run.
pub fn observe(run: &Run) -> io::Result<Seen> {
    let trace = run.frames()?;
    let mut frames = trace.frames;
    frames.retain(|frame| frame.signal == libc::SIGUSR2);
    Ok(Seen { frames, outcome: trace.outcome })
}
