//! What is locked and what is only present, according to the kernel, with default settings, under
//! four limits on locked memory: that of today's kernels, that of old ones, next to nothing, and
//! zero. Alternate stacks come first: ordinary stacks take no lock from them.

use sigward_harness::Run;
use sigward_harness::every_stack::unless_every_stack_is_ours;
use sigward_harness::programs::{build, libcs};

/// The size of a frame with AVX-512 state, whatever CPU this is.
const FRAME: &str = "3376";

/// Counts of several threads' alternate stacks.
#[derive(Debug, PartialEq)]
struct Held {
    /// Locked down to the last page.
    locked: usize,
    /// Present down to the last page, but not locked.
    present: usize,
    /// All memory that the process has locked, in KiB.
    vmlck: usize,
}

/// Parses the program's output. A stack that is held in part belongs to neither count.
fn held(output: &str) -> Held {
    let figures = output.split(|byte: char| !byte.is_ascii_digit());
    let figures: Vec<usize> = figures.filter_map(|figure| figure.parse().ok()).collect();
    let [locked, _, present, _, vmlck, 0] = figures[..] else { panic!("{output}") };
    Held { locked, present, vmlck }
}

struct Row {
    /// `RLIMIT_MEMLOCK` of `nobody`, in KiB.
    limit: u64,
    threads: usize,
    /// Size of each stack.
    kib: usize,
    held: Held,
}

const fn row(
    limit: u64,
    threads: usize,
    kib: usize,
    (locked, present, vmlck): (usize, usize, usize),
) -> Row {
    Row { limit, threads, kib, held: Held { locked, present, vmlck } }
}

const ROWS: &[Row] = &[
    row(8192, 8, 8, (8, 0, 64)),
    row(8192, 8, 64, (8, 0, 512)),
    // Everything fits, down to the last page.
    row(64, 8, 8, (8, 0, 64)),
    row(64, 1, 64, (1, 0, 64)),
    // First come, first served.
    row(64, 9, 8, (8, 1, 64)),
    row(64, 8, 64, (1, 7, 64)),
    // Nothing fits: touching needs no limit, so it covers the whole stack.
    row(4, 8, 8, (0, 8, 0)),
    row(4, 8, 64, (0, 8, 0)),
    row(0, 8, 8, (0, 8, 0)),
    row(0, 8, 64, (0, 8, 0)),
];

#[test]
fn alternate_stacks_get_the_whole_limit() {
    let mut wrong = Vec::new();
    for &libc in libcs() {
        for Row { limit, threads, kib, held: expected } in ROWS {
            // With a handler that can use ordinary stacks, and without.
            for handler in ["onstack", "plain"] {
                let run = Run::new(build("altstack_rungs", libc).unwrap()).unprivileged();
                let run = run.memlock(limit << 10).env("SIGWARD_FRAME", FRAME);
                let run = run.args([&*threads.to_string(), &*kib.to_string(), handler]);
                let bare = run.output().unwrap();
                assert_eq!(held(&bare.stdout), Held { locked: 0, present: 0, vmlck: 0 });
                let with = run.sigward("on").output().unwrap();
                assert!(with.success() && with.stderr.is_empty(), "{with:?}");
                let own = unless_every_stack_is_ours("what of the program's own stacks is locked");
                if own && held(&with.stdout) != *expected {
                    let what = format!("{libc:?}, {limit} KiB, {threads} x {kib} KiB, {handler}");
                    wrong.push(format!("{what}: {expected:?}, but: {}", with.stdout));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
}
