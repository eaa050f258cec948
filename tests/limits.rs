//! What is locked and what is only present, by the kernel's word, where the limit of locked memory
//! is what a kernel of today gives, an old one, next to nothing, or nothing: with default settings.
//! Alternate stacks come first: what is held of ordinary ones takes no lock from them.

use sigward_harness::Run;
use sigward_harness::programs::{build, libcs};

/// A frame as on a CPU with AVX-512, whatever CPU this is.
const FRAME: &str = "3376";

/// Of the alternate stacks of some threads.
#[derive(Debug, PartialEq)]
struct Held {
    /// Locked to the last page.
    locked: usize,
    /// Present to the last page, but not locked.
    present: usize,
    /// All that the process has locked, in KiB.
    vmlck: usize,
}

/// What the program told; stacks of which a part is held are none of [`Held`].
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
    /// Of each stack.
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
    // All of it fits, to the last page.
    row(64, 8, 8, (8, 0, 64)),
    row(64, 1, 64, (1, 0, 64)),
    // Who comes first has it.
    row(64, 9, 8, (8, 1, 64)),
    row(64, 8, 64, (1, 7, 64)),
    // Nothing fits: a touch costs nothing, and is whole.
    row(4, 8, 8, (0, 8, 0)),
    row(4, 8, 64, (0, 8, 0)),
    row(0, 8, 8, (0, 8, 0)),
    row(0, 8, 64, (0, 8, 0)),
];

#[test]
fn alternate_stacks_have_all_of_the_limit() {
    let mut wrong = Vec::new();
    for &libc in libcs() {
        for Row { limit, threads, kib, held: expected } in ROWS {
            // With a handler that could use ordinary stacks, and without.
            for handler in ["onstack", "plain"] {
                let run = Run::new(build("altstack_rungs", libc).unwrap()).unprivileged();
                let run = run.memlock(limit << 10).env("SIGWARD_FRAME", FRAME);
                let run = run.args([&*threads.to_string(), &*kib.to_string(), handler]);
                let bare = run.output().unwrap();
                assert_eq!(held(&bare.stdout), Held { locked: 0, present: 0, vmlck: 0 });
                let with = run.sigward("on").output().unwrap();
                assert!(with.success() && with.stderr.is_empty(), "{with:?}");
                if held(&with.stdout) != *expected {
                    let what = format!("{libc:?}, {limit} KiB, {threads} x {kib} KiB, {handler}");
                    wrong.push(format!("{what}: {expected:?}, but: {}", with.stdout));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
}
