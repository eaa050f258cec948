//! The rungs of the residency ladder: which pages of a stack are locked and present, under
//! which limits, and what remains when the kernel reclaims memory.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sigward_harness::every_stack::unless_every_stack_is_ours;
use sigward_harness::programs::{Libc, build, libcs};
use sigward_harness::scenarios::NESTED;
use sigward_harness::{Run, artifacts, need};
use tempfile::NamedTempFile;

/// A frame size that needs the same part everywhere: 3 pages of an aligned stack.
const FRAME: &str = "4096";

fn program(name: &str, libc: Libc) -> Run {
    // The ordinary stack would use part of the limit.
    let run = Run::new(build(name, libc).unwrap()).env("SIGWARD_STACK", "off");
    run.deadline(Duration::from_secs(60))
}

#[test]
fn frames_deep_in_a_stack_do_not_fault() {
    let broken = NESTED.broken();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// What is locked (`Locked` of smaps in kB, pages with the flag `lo`) and present
/// (pages).
type Held = (u64, u64, u64);

/// The steps that the program `residency` reports, by name.
fn steps(output: &str) -> Vec<(&str, Held, u64)> {
    let step = |line| {
        let (name, figures) = str::split_once(line, ": ")?;
        let figures: Vec<u64> =
            figures.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
        let [kib, marked, present, vmlck] = figures[..] else { return None };
        Some((name, (kib, marked, present), vmlck))
    };
    output.lines().map(|line| step(line).unwrap_or_else(|| panic!("{output}"))).collect()
}

struct Row {
    stack: &'static str,
    /// `RLIMIT_MEMLOCK` of `nobody`, in bytes; `None` for the default.
    limit: Option<u64>,
    /// `SIGWARD_ALTSTACK`.
    start: &'static str,
    held: Held,
}

const fn row(stack: &'static str, limit: Option<u64>, start: &'static str, held: Held) -> Row {
    Row { stack, limit, start, held }
}

const LARGE: Option<u64> = Some(8 << 20);
const SMALL: Option<u64> = Some(64 << 10);
const NONE: Option<u64> = Some(0);

const WHOLE: Held = (64, 16, 16);
/// Room for frames is locked, the rest is touched.
const HEADROOM: Held = (12, 3, 16);
const TOUCHED: Held = (0, 0, 16);
const NOTHING: Held = (0, 0, 0);

/// Stacks of 16 pages, except the one of 1 GiB, of which the same amount is held.
const ROWS: &[Row] = &[
    // As much as the limit allows.
    row("plain", LARGE, "auto", WHOLE),
    row("plain", SMALL, "auto", WHOLE),
    row("plain", NONE, "auto", TOUCHED),
    row("unaligned", LARGE, "auto", (68, 17, 17)),
    row("unaligned", SMALL, "auto", (16, 4, 17)),
    row("unaligned", NONE, "auto", (0, 0, 17)),
    row("second", LARGE, "auto", WHOLE),
    row("second", SMALL, "auto", TOUCHED),
    // Starting at the rung that was requested.
    row("plain", LARGE, "lock", WHOLE),
    row("plain", LARGE, "frame", HEADROOM),
    row("plain", LARGE, "touch", TOUCHED),
    row("plain", LARGE, "off", NOTHING),
    row("plain", SMALL, "frame", HEADROOM),
    row("plain", NONE, "frame", TOUCHED),
    // A huge stack uses no more memory than any other.
    row("huge", LARGE, "lock", HEADROOM),
    row("huge", NONE, "lock", TOUCHED),
    // sigward works from the top down and stops at a hole. It may have tried pages below.
    row("has a hole", LARGE, "lock", (28, 7, 15)),
    row("has a hole", LARGE, "frame", (12, 3, 7)),
    row("has a hole", NONE, "lock", (0, 0, 15)),
    row("begins unmapped", LARGE, "lock", (60, 15, 15)),
    row("guard inside", LARGE, "lock", (60, 15, 15)),
    row("guard inside", SMALL, "lock", (60, 15, 15)),
    row("guard inside", NONE, "lock", (0, 0, 15)),
    row("guard in the headroom", LARGE, "lock", (8, 2, 15)),
    row("guard in the headroom", NONE, "lock", (0, 0, 15)),
    row("ends unmapped", LARGE, "lock", (0, 0, 15)),
    // Memory that cannot hold a frame.
    row("PROT_NONE", LARGE, "lock", NOTHING),
    row("read-only", LARGE, "lock", (0, 16, 16)),
];

#[test]
fn each_rung_holds_what_it_says() {
    for &libc in libcs() {
        for Row { stack, limit, start, held } in ROWS {
            let mut run = program("residency", libc).arg(stack).unprivileged();
            if let Some(bytes) = limit {
                run = run.memlock(*bytes);
            }
            let with = run.clone().env("SIGWARD_ALTSTACK", start).env("SIGWARD_FRAME", FRAME);
            let with = with.sigward("on").output().unwrap();
            let what = format!("{stack}, limit {limit:?}, {start}, {libc:?}: {with:?}");
            assert!(with.success(), "{what}");
            if !unless_every_stack_is_ours("what of the program's own stacks is locked") {
                continue;
            }
            let [(_, before, other), (_, registered, _), (_, disabled, left)] =
                steps(&with.stdout)[..]
            else {
                panic!("{what}")
            };
            assert_eq!((before, registered), (NOTHING, *held), "{what}");
            assert_eq!((disabled.0, disabled.1, left), (0, 0, other), "{what}");

            let without = run.output().unwrap();
            assert!(steps(&without.stdout).iter().all(|step| step.1 == NOTHING), "{without:?}");
        }
    }
}

/// By default no ordinary stack takes a lock from an alternate one.
#[test]
fn the_whole_limit_is_for_alternate_stacks() {
    if !unless_every_stack_is_ours("stacks larger than 64 KiB are locked in part") {
        return;
    }
    for &libc in libcs() {
        let run = Run::new(build("altstack_threads", libc).unwrap()).args(["8", "8192"]);
        let run = run.unprivileged().memlock(64 << 10).env("SIGWARD_STATS", "1");
        let outcome = run.clone().sigward("on").output().unwrap();
        for (figure, expected) in [("stacks", "8"), ("lock", "8"), ("refused", "0")] {
            assert_eq!(outcome.figure(figure), expected, "{libc:?}: {outcome:?}");
        }
        assert_eq!(outcome.figure("most_locked_kib"), "64", "{libc:?}: {outcome:?}");
    }
}

#[test]
fn bad_stacks_get_the_kernels_answer_and_cost_nothing() {
    for &libc in libcs() {
        for limit in [LARGE, SMALL, NONE] {
            let run = program("altstack_bad", libc).unprivileged().memlock(limit.unwrap());
            let without = run.output().unwrap();
            assert!(without.stdout.contains("memory spent: little, locks left: 0 kB\n"));
            for start in ["lock", "frame", "touch"] {
                let with = run.clone().env("SIGWARD_ALTSTACK", start).sigward("on");
                assert_eq!(with.output().unwrap(), without, "{libc:?}, {limit:?}, {start}");
            }
        }
    }
}

/// Swap space: without it the kernel cannot evict anonymous memory.
struct Swap(Option<NamedTempFile>);

impl Swap {
    /// The existing swap, or a file of 16 MiB; `None` if the kernel accepts neither.
    fn on() -> Option<Self> {
        if fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1) {
            return Some(Self(None));
        }
        // Not every file system supports a swap file.
        ["/var/tmp", "/tmp", env!("CARGO_TARGET_TMPDIR")].iter().find_map(|folder| {
            let file = tempfile::Builder::new().prefix("sigward-swap-").tempfile_in(folder).ok()?;
            fs::write(file.path(), vec![0; 16 << 20]).ok()?;
            let swap = Self(Some(file));
            (swap.run("mkswap") && swap.run("swapon")).then_some(swap)
        })
    }

    fn run(&self, program: &str) -> bool {
        let Some(file) = &self.0 else { return true };
        let mut command = Command::new(Path::new("/sbin").join(program));
        command.arg(file.path()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        self.run("swapoff");
    }
}

#[test]
fn locked_rungs_survive_eviction_and_the_touch_rung_does_not() {
    if !unless_every_stack_is_ours("what of the program's own stacks is locked") {
        return;
    }
    let swap = Swap::on();
    let remedy = "run as root, on a file system that can hold a swap file";
    if !need::required(swap.is_some(), "swap space", remedy) {
        return;
    }
    let evict = build("evict", Libc::Glibc).unwrap();
    for &libc in libcs() {
        let run = program("altstack_evicted", libc).arg(&evict).env("SIGWARD_FRAME", FRAME);
        for (start, registered, evicted, faulting) in
            [("lock", 16, 16, 0), ("frame", 16, 3, 0), ("touch", 16, 0, 1), ("off", 0, 0, 1)]
        {
            let run = run.clone().env("SIGWARD_ALTSTACK", start).sigward("on");
            let trace = run.frames().unwrap();
            let expected = format!(
                "registered: present {registered} pages\nevicted: present {evicted} pages\n\
                 signals: 1\n"
            );
            assert_eq!(trace.outcome.stdout, expected, "{start}, {libc:?}: {trace:?}");
            assert_eq!(trace.on_altstack().count(), 1, "{start}, {libc:?}");
            assert_eq!(trace.faulting(), faulting, "{start}, {libc:?}");
        }
    }
}

#[test]
fn a_description_at_an_odd_address_is_read() {
    if !unless_every_stack_is_ours("stacks larger than 64 KiB are locked in part") {
        return;
    }
    for &libc in libcs() {
        let outcome = program("altstack_unaligned", libc).sigward("on").output().unwrap();
        assert_eq!(outcome.stdout, "set: 64 KiB\ndisabled: 0 KiB\n", "{libc:?}: {outcome:?}");
    }
}

/// With `ulimit -s unlimited`, the limit alone would let the main stack reach any other
/// stack.
#[test]
fn stacks_are_locked_whatever_the_main_stacks_limit() {
    for &libc in libcs() {
        let stack = build("altstack_mmap", libc).unwrap();
        let preload = format!("LD_PRELOAD={}", artifacts::preload_for(&stack).display());
        let script = format!("ulimit -s unlimited && {preload} exec {}", stack.display());
        let run = Run::new("/bin/sh").args(["-c", &script]).env("SIGWARD", "on");
        let outcome = run.env("SIGWARD_STATS", "1").output().unwrap();
        assert!(outcome.stderr.contains("stacks=1 lock=1 "), "{libc:?}: {outcome:?}");
    }
}
