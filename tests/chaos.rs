//! Originals that fail, behind the library or before it, and failing system calls of the
//! library's own: a program sees exactly what it would see without the library.

use sigward_harness::filter::Filter;
use sigward_harness::programs::{Libc, build, libcs};
use sigward_harness::{Outcome, Run, artifacts};

fn program(libc: Libc) -> Run {
    Run::new(build("chaos_calls", libc).unwrap()).arg("locked")
}

/// Output, exit status and remaining locks are the same. Locks on ordinary stacks, which
/// stay held, do not count.
fn same(with: &Outcome, plain: &Outcome, what: &str) {
    let lines = with.stdout.lines().zip(plain.stdout.lines());
    for (number, (with, plain)) in lines.enumerate() {
        assert_eq!(with, plain, "line {number}: {what}");
    }
    assert_eq!((&with.stderr, with.status), (&plain.stderr, plain.status), "{what}");
    assert_eq!(with.stdout.len(), plain.stdout.len(), "{what}");
}

/// Runs with `schedule`: without our library, behind it and before it.
fn three(schedule: &str) -> [Outcome; 3] {
    let (chaos, sigward) = (artifacts::chaos(), artifacts::preload());
    let run = program(Libc::Glibc).env("CHAOS", schedule).env("SIGWARD", "on");
    // The remedy for small stacks repeats a registration that was refused for its size.
    let run = run.env("SIGWARD_STACK", "off").env("SIGWARD_SIZE", "off");
    [
        run.clone().preload(chaos),
        run.clone().preload(sigward).preload(chaos),
        run.preload(chaos).preload(sigward),
    ]
    .map(|run| run.output().unwrap())
}

#[test]
fn failures_reach_the_program_as_they_are() {
    const SCHEDULES: &[&str] = &[
        "sigaltstack:ENOMEM:3",
        "sigaltstack:ENOMEM:every2",
        "sigaltstack:ENOMEM",
        "sigaltstack:after-EFAULT:every3",
        "sigaction:EINVAL:every2",
        "madvise:EINVAL:1",
        "madvise:ENOMEM",
        "madvise@DONTNEED:EINVAL",
        "madvise@FREE:EINVAL",
        "fork:EAGAIN:1",
        "fork:ENOMEM:every2",
        "mlock:ENOMEM",
        "mlock:EPERM",
        "mlock:EAGAIN",
        "mlock:ENOSYS:every2",
        "mlockall:EPERM,munlock:ENOMEM,munlockall:EPERM",
        "munmap:ENOMEM:every2",
        "munmap:EINVAL",
        "mmap:ENOMEM:every3",
        "mremap:ENOMEM",
        "mremap:EFAULT:every2",
        "mprotect:ENOMEM:every2",
        // Does not depend on the limit: the schedule fails the second attempt too.
        "mlock:ENOMEM:every2",
        "mlock:EPERM:every2",
        "mlock:EAGAIN:every2",
        "pthread_create:EAGAIN:every2",
        "waitpid:EINTR:2",
        "sigaltstack:ENOMEM:every2,mlock:EAGAIN,madvise:EINVAL,fork:EAGAIN:2-3,munmap:ENOMEM:2-",
    ];
    let untroubled = program(Libc::Glibc).output().unwrap();
    for schedule in SCHEDULES {
        let [alone, before, behind] = three(schedule);
        assert_ne!(alone.stdout, untroubled.stdout, "{schedule} does nothing");
        assert!(alone.success());
        same(&before, &alone, &format!("{schedule}, behind us"));
        same(&behind, &alone, &format!("{schedule}, before us"));
    }
}

/// The planted failures that imitate other software's defects: the program sees each of them,
/// with and without us.
#[test]
fn plants_are_seen() {
    for (schedule, seen) in [
        ("waitpid:after-EFAULT:every2", "fork: 1 errno 0 wait: 0 status 1280\n"),
        ("madvise@DONTNEED:EINVAL", "madvise(stack, STACK_SIZE, MADV_DONTNEED): bad errno 22\n"),
        ("sigaction:garbled:2", "old: 0 flags 0xf3ffffff\n"),
    ] {
        for outcome in three(schedule) {
            assert!(outcome.stdout.contains(seen), "{schedule}: {}", outcome.stdout);
        }
    }
}

#[test]
fn an_invalid_schedule_is_reported() {
    for schedule in ["mlock", "mlock:EWHAT", "mlock:EPERM:often", "nothing:EPERM", "mlock:EPERM:0"]
    {
        let run = program(Libc::Glibc).preload(artifacts::chaos()).env("CHAOS", schedule);
        let outcome = run.output().unwrap();
        assert_eq!((outcome.code(), &*outcome.stdout), (125, ""), "{schedule}");
        assert!(outcome.stderr.starts_with(&format!("CHAOS: {schedule}: ")), "{outcome:?}");
    }
}

/// A filter refuses our system calls, and the program's too. The program sees the same with us
/// and without.
#[test]
fn our_own_calls_may_fail() {
    let rows = [
        (libc::SYS_mlock, &[libc::ENOMEM, libc::EPERM, libc::EAGAIN, libc::ENOSYS][..]),
        (libc::SYS_munlock, &[libc::ENOMEM, libc::EPERM, libc::ENOSYS]),
        (libc::SYS_madvise, &[libc::EINVAL, libc::ENOMEM, libc::EPERM]),
        (libc::SYS_msync, &[libc::EBUSY, libc::ENOMEM, libc::ENOSYS]),
        (libc::SYS_process_vm_writev, &[libc::EPERM, libc::ENOSYS, libc::EFAULT]),
        (libc::SYS_tgkill, &[libc::EPERM, libc::ESRCH]),
        (libc::SYS_gettid, &[libc::ENOSYS]),
        (libc::SYS_prlimit64, &[libc::EPERM]),
    ];
    for &libc in libcs() {
        for (number, errors) in rows {
            for &errno in errors {
                let run = program(libc).filter(Filter::new().refuse(number, errno));
                let plain = run.output().unwrap();
                let with = run.sigward("on").env("SIGWARD_STACK", "off").output().unwrap();
                same(&with, &plain, &format!("call {number}, errno {errno}, {libc:?}"));
            }
        }
    }
}

/// fork fails in the kernel, after the prepare handlers have run.
#[test]
fn a_fork_may_fail_late() {
    for &libc in libcs() {
        let refused = [libc::SYS_clone, libc::SYS_fork].into_iter();
        let filter = refused.fold(Filter::new(), |filter, call| filter.refuse(call, libc::EAGAIN));
        let run = program(libc).filter(filter);
        let plain = run.output().unwrap();
        assert!(plain.stdout.contains("fork: 0 errno 11"));
        same(&run.sigward("on").env("SIGWARD_STACK", "off").output().unwrap(), &plain, "fork");
    }
}
