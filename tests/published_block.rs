//! What `libsigward.so` publishes, read from outside by `sigward-reader`.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader, SectionHeader};
use sigward::state::published_block::{FORK_COPIES, names};
use sigward_harness::programs::{Libc, build, libcs};
use sigward_harness::{artifacts, need};
use sigward_reader::block::Counters;
use sigward_reader::process::Block;
use sigward_reader::stack::Stack;
use sigward_reader::{Error, Process, Snapshot, Unreadable};

/// A program with the library, which runs until its standard input ends.
struct Running(Child);

impl Running {
    fn start(program: &Path, library: &Path, mode: &str) -> Self {
        Running::with(program, library, &[("SIGWARD", mode)])
    }

    fn with(program: &Path, library: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command.env("LD_PRELOAD", library).envs(settings.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Running(command.spawn().unwrap())
    }

    /// The numbers in its first line, which it prints when it is ready.
    fn numbers(&mut self) -> Vec<u64> {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.split_whitespace().map(|word| word.parse().unwrap()).collect()
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The one block of a process.
fn the_block(process: &Process) -> Block {
    let mut blocks = process.blocks().unwrap();
    assert_eq!(blocks.len(), 1, "{blocks:?}");
    blocks.pop().unwrap()
}

fn snapshot(pid: u32) -> Snapshot {
    the_block(&Process::open(pid).unwrap()).read.unwrap()
}

/// Whether the kernel has all of `[start, end)` locked in process `pid`.
fn kernel_has_locked(pid: u32, start: u64, end: u64) -> bool {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let (mut locked, mut here) = (0, 0);
    for line in smaps.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let Some((first, last)) = words[0].split_once('-')
            && let (Ok(first), Ok(last)) =
                (u64::from_str_radix(first, 16), u64::from_str_radix(last, 16))
        {
            here = last.min(end).saturating_sub(first.max(start));
        } else if words[0] == "VmFlags:" && words.contains(&"lo") {
            locked += here;
        }
    }
    locked == end - start
}

#[test]
fn a_process_is_read_while_its_threads_churn() {
    const STACK: u64 = 16 * 4096;
    for &libc in libcs() {
        let program = build("published", libc).unwrap();
        let mut running = Running::start(&program, artifacts::preload_for(&program), "on");
        let pid = running.0.id();
        let numbers = running.numbers();
        let [own, pool, size, child, copy] = numbers[..] else { panic!("{numbers:?}") };
        let process = Process::open(pid).unwrap();

        let (mut reads, mut torn, mut with_own, mut most) = (0, 0, 0, 0);
        let mut counted = 0;
        for _ in 0..200 {
            let block = the_block(&process);
            assert!(block.found.path.ends_with(b"/libsigward.so") && !block.found.deleted);
            let snapshot = match block.read {
                // Only a move of the table causes that.
                Err(Error::Torn) => continue,
                read => read.unwrap(),
            };
            let Snapshot { block, copied, stacks, torn: changing, .. } = snapshot;
            let (plan, force) = (block.plan.unwrap(), block.force.unwrap());
            assert_eq!(names::DUTY.of(plan.duty), Some("act"));
            assert_eq!(names::REASON.of(plan.reason), Some("set"));
            assert_eq!((force.duty, plan.headroom > plan.frame), (plan.duty, true));
            let owner = block.owner.unwrap();
            assert_eq!((Some(owner.pid), owner.claims), (process.own_pid(), 1));
            assert_eq!((owner.pid, copied), (pid as i32, Some(false)));

            let now = block.counters.stacks.unwrap();
            assert!(now >= counted, "{now} after {counted}");
            counted = now;
            let rungs: u64 = block.counters.rungs.iter().flatten().sum();
            assert!(rungs > 0 && block.counters.refused == Some(0), "{:?}", block.counters);
            let (pinned, most_pinned) = (block.counters.pinned, block.counters.most_pinned);
            assert!(pinned > Some(0) && most_pinned.is_some(), "{:?}", block.counters);

            let is_own = |stack: &&Stack| stack.base == own;
            for stack in stacks.iter().filter(|stack| stack.role != 3) {
                let in_pool = stack.base.checked_sub(pool).filter(|at| *at < size);
                assert!(
                    in_pool.is_some_and(|at| at % STACK == 0) || stack.base == own,
                    "{stack:?}"
                );
                assert_eq!(stack.size, STACK, "{stack:?}");
            }
            if let Some(stack) = stacks.iter().find(is_own) {
                assert_eq!((stack.thread, stack.role, stack.rung), (pid as i32, 0, 0));
                assert_eq!((stack.locked.start, stack.locked.end), (own, own + STACK));
                with_own += 1;
            }
            most = most.max(stacks.len());
            (reads, torn) = (reads + 1, torn + changing);
        }
        assert!(reads > 100 && with_own > reads / 2, "{reads} reads, {with_own} with the first");
        assert!(most > 16, "at most {most} stacks at a time");
        assert!(torn < reads * 16, "{torn} torn entries in {reads} reads");
        assert!(kernel_has_locked(pid, own, own + STACK));

        // The child of a fork that libsigward.so saw has taken ownership of the block; the other
        // one has not.
        let [child, copy] = [child as u32, copy as u32].map(|pid| (pid, snapshot(pid)));
        let owner = child.1.block.owner.unwrap();
        assert_eq!((owner.pid, owner.claims, child.1.copied), (child.0 as i32, 2, Some(false)));
        let alternate = child.1.stacks.iter().filter(|stack| stack.role != 3);
        assert_eq!(alternate.map(|stack| stack.base).collect::<Vec<_>>(), [own]);
        assert_eq!((copy.1.block.owner.unwrap().pid, copy.1.copied), (pid as i32, Some(true)));
        running.end();
    }
}

#[test]
fn a_byte_that_is_changed_from_outside_is_seen() {
    let program = build("published", Libc::Glibc).unwrap();
    let mut running = Running::start(&program, artifacts::preload(), "on");
    running.numbers();
    let pid = running.0.id();
    let process = Process::open(pid).unwrap();
    let Block { found, read } = the_block(&process);
    assert_eq!(read.unwrap().block.counters.refused, Some(0));
    let memory = OpenOptions::new().write(true).open(format!("/proc/{pid}/mem")).unwrap();
    let set = |offset, byte: u8| memory.write_all_at(&[byte], found.block + offset).unwrap();
    // The counter of refused locks, which nothing else changes here.
    set(128 + 2 * 8, 42);
    assert_eq!(snapshot(pid).block.counters.refused, Some(42));
    set(0, b's');
    assert_eq!(the_block(&process).read, Err(Error::Foreign));
    set(0, b'S');
    assert_eq!(snapshot(pid).block.counters.refused, Some(42));
    running.end();
}

#[test]
fn what_was_set_and_what_was_counted_are_seen() {
    let program = build("published", Libc::Glibc).unwrap();
    // A frame size that is too large for every stack of the program, and a limit that
    // allows no locks.
    let settings = [
        ("SIGWARD", "on"),
        ("SIGWARD_FRAME", "70000"),
        ("SIGWARD_SIZE", "report"),
        ("SIGWARD_ALTSTACK", "touch"),
        ("SIGWARD_FORK", "copy"),
        ("SIGWARD_WAIT", "two-phase"),
        ("SIGWARD_STACK", "off"),
    ];
    let mut running = Running::with(&program, artifacts::preload(), &settings);
    running.numbers();
    let Snapshot { block, stacks, .. } = snapshot(running.0.id());
    let (plan, force) = (block.plan.unwrap(), block.force.unwrap());
    assert_eq!((plan.frame, plan.ordinary, plan.flags), (70_000, 0, FORK_COPIES));
    assert_eq!(names::REMEDY.of(plan.remedy), Some("report"));
    assert_eq!(names::WAIT.of(plan.wait), Some("two-phase"));
    assert_eq!(names::RUNG.of(plan.rung), Some("touch"));
    assert_eq!((force.duty, force.remedy, force.wait), (plan.duty, plan.remedy, plan.wait));
    assert!(stacks.iter().all(|stack| stack.locked.bytes() == 0), "{stacks:?}");

    let Counters { stacks, small, refused, pinned, most_pinned, rungs, .. } = block.counters;
    assert!(small > Some(0) && stacks > Some(0), "{:?}", block.counters);
    assert_eq!((refused, pinned, most_pinned), (Some(0), Some(0), Some(0)));
    let [lock, frame, touch, _] = rungs;
    assert!(lock == Some(0) && frame == Some(0) && touch > Some(0), "{rungs:?}");
    running.end();
}

/// A larger stack that stands in for the program's, on every kernel: what of the program's own is
/// usable, what is needed, and how deep handlers went.
#[test]
fn larger_stacks_are_seen_with_their_depth() {
    const DEEPEST: u64 = 30_001;
    for &libc in libcs() {
        let program = build("waits_on_small", libc).unwrap();
        for (mode, remedy, frame, usable, needed, tid) in [
            // By its size alone, and without a call to ask for the thread.
            ("auto", "auto", 20_000, 16_384, 20_000, false),
            ("auto", "fix", 11_952, 12_288, 2 * 11_952 + (24 << 10), true),
            ("on", "fix", 11_952, 12_288, 2 * 11_952 + (24 << 10), true),
            ("on", "auto", 20_000, 16_384, 20_000, true),
        ] {
            let what = format!("{libc:?}, {mode}, {remedy}");
            let settings = [
                ("SIGWARD", mode),
                ("SIGWARD_SIZE", remedy),
                ("SIGWARD_FRAME", &frame.to_string()),
            ];
            let mut running = Running::with(&program, artifacts::preload_for(&program), &settings);
            let numbers = running.numbers();
            let [own, first, second] = numbers[..] else { panic!("{numbers:?}") };
            let process = Process::open(running.0.id()).unwrap();
            let Snapshot { stacks, substitutes: mut larger, .. } =
                the_block(&process).read.unwrap();
            larger.sort_by_key(|larger| larger.asked);
            let [kept, now] = larger[..] else { panic!("{what}: {larger:?}") };
            assert_eq!((kept.asked, kept.base, kept.in_force), (own, first, false), "{what}");
            assert_eq!((now.base, now.in_force), (second, true), "{what}");
            for larger in [kept, now] {
                assert_eq!(larger.asked_size, 16_384, "{what}");
                assert_eq!((larger.usable, larger.needed), (usable, needed), "{what}");
                assert_eq!(larger.thread, tid.then_some(running.0.id() as i32), "{what}");
            }
            assert_eq!(kept.deepest(&process), Ok(DEEPEST), "{what}");
            // Only what is held has an entry in the table.
            let held = stacks.iter().any(|stack| stack.base == second);
            assert_eq!(held, mode == "on", "{what}: {stacks:?}");
            running.end();
        }
    }
}

/// A program that only waits.
fn waiting(library: &Path, mode: &str) -> (Running, Process) {
    let running = Running::start(Path::new("/bin/cat"), library, mode);
    let pid = running.0.id();
    // `spawn` returns when it has executed `cat`, but the loader may not be done.
    for _ in 0..10_000 {
        let process = Process::open(pid).unwrap();
        let published = |block: &Block| {
            let generation = |read: &Snapshot| read.block.force.unwrap().generation;
            block.read.as_ref().is_ok_and(|read| generation(read) > 0)
        };
        if process.blocks().is_ok_and(|blocks| blocks.iter().any(published)) {
            return (running, process);
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("no plan was published");
}

#[test]
fn an_inert_process_says_so() {
    for mode in ["off", "observe"] {
        let (running, process) = waiting(artifacts::preload(), mode);
        let snapshot = the_block(&process).read.unwrap();
        let plan = snapshot.block.plan.unwrap();
        assert_eq!(names::REASON.of(plan.reason), Some("set"));
        assert_eq!(names::DUTY.of(plan.duty), Some(if mode == "off" { "inert" } else { mode }));
        assert!(snapshot.stacks.is_empty());
        running.end();
    }
}

/// Address and size of the note in bytes, and the addresses of the dynamic relocations.
fn note_and_relocations(library: &Path) -> ((u64, u64), Vec<u64>) {
    let bytes = fs::read(library).unwrap();
    let (data, header): (&[u8], _) = (&bytes, FileHeader64::<Endianness>::parse(&*bytes).unwrap());
    let end = header.endian().unwrap();
    let sections = header.sections(end, data).unwrap();
    let (_, note) = sections.section_by_name(end, b".note.sigward").expect("the note");
    let relocations = sections.iter().filter_map(|section| section.rela(end, data).unwrap());
    let places = relocations.flat_map(|(all, _)| all.iter().map(|each| each.r_offset.get(end)));
    ((note.sh_addr(end), note.sh_size(end)), places.collect())
}

#[test]
fn the_note_takes_no_relocation_and_survives_strip() {
    let folder = tempfile::tempdir().unwrap();
    let stripped = folder.path().join("other-name.so");
    let mut strip = Command::new("strip");
    strip.args(["--strip-all", "-o"]).arg(&stripped).arg(artifacts::preload());
    assert!(strip.status().unwrap().success());
    let (note, relocations) = note_and_relocations(artifacts::preload());
    let (start, bytes) = note;
    assert_eq!(bytes, 24);
    assert!(!relocations.is_empty());
    assert!(relocations.iter().all(|place| !(start..start + bytes).contains(place)));
    assert_eq!(note_and_relocations(&stripped), (note, relocations));

    // The library is found by its note, not by its name, even if the file has been
    // deleted.
    let (running, process) = waiting(&stripped, "on");
    assert!(!the_block(&process).found.deleted);
    fs::remove_file(&stripped).unwrap();
    let block = the_block(&process);
    assert!(block.found.deleted && block.found.path.ends_with(b"/other-name.so"));
    assert!(block.read.is_ok());
    running.end();
}

#[test]
fn a_reader_without_permission_gets_an_error() {
    // SAFETY: it cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    if !need::optional(root, "root", "run the tests as root") {
        return;
    }
    let (running, _process) = waiting(artifacts::preload(), "off");
    let pid = running.0.id();
    let nobody = thread::spawn(move || {
        // SAFETY: a system call without pointers. Unlike libc's function it changes only this
        // thread.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) }, 0);
        Process::open(pid).err()
    });
    assert_eq!(nobody.join().unwrap(), Some(Unreadable::Denied));
    running.end();
}

#[test]
fn without_the_library_there_is_no_block() {
    let myself = Process::open(std::process::id()).unwrap();
    assert_eq!(myself.blocks().unwrap(), []);
    // Mapped for reading, as by a linker, it does not count as loaded.
    let file = File::open(artifacts::preload()).unwrap();
    let length = file.metadata().unwrap().len() as usize;
    // SAFETY: a new mapping that nothing else uses.
    let mapped = unsafe {
        let (place, descriptor) = (std::ptr::null_mut(), file.as_raw_fd());
        libc::mmap(place, length, libc::PROT_READ, libc::MAP_PRIVATE, descriptor, 0)
    };
    assert_ne!(mapped, libc::MAP_FAILED);
    assert_eq!(myself.blocks().unwrap(), []);
    // A process that no longer exists.
    let mut child = Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap();
    let process = Process::open(child.id()).unwrap();
    assert_eq!(process.blocks().unwrap(), []);
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(process.blocks(), Err(Unreadable::Gone));
    assert_eq!(Process::open(child.id()).err(), Some(Unreadable::Gone));
}
