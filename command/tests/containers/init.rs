//! `--init` as process 1, for another user than root, on a root that cannot be written, with 64 KiB
//! of locked memory or none, and under Docker's rules for system calls.

use predicates::Predicate;
use predicates::str::is_match;
use sigward_harness::programs::{Libc, libcs};

use super::bundle::Bundle;
use super::seccomp::Profile;
use super::{NOBODY, container};

const INIT: [&str; 5] = ["/sigward", "run", "--init", "--", "/program"];

fn confined(name: &str, libc: Libc, memlock: u64) -> Option<Bundle> {
    let mut bundle = container(name, libc)?;
    if !Profile::Docker.apply_to(&mut bundle) {
        return None;
    }
    bundle.extract();
    bundle.user(NOBODY);
    bundle.memlock(memlock);
    Some(bundle)
}

/// `runc kill`, and so `docker stop`, sends SIGTERM to process 1.
#[test]
fn sigterm_ends_the_program_with_its_status() {
    for &libc in libcs() {
        let Some(mut bundle) = confined("sleeper", libc, 64 << 10) else { return };
        let mut running = bundle.start(&INIT);
        assert_eq!(running.line(), "ready\n");
        let kill = bundle.state().args(["kill", &bundle.name(), "TERM"]).status();
        assert!(kill.unwrap().success());
        assert_eq!(running.end(), (String::new(), Some(143)), "{libc:?}");
    }
}

/// All of kill(1) but KILL, STOP and CHLD, and libc's own. Real-time signals arrive once each, in
/// order, and with their values.
#[test]
fn every_signal_reaches_the_program() {
    for &libc in libcs() {
        let Some(mut bundle) = confined("receiver", libc, 0) else { return };
        let mut running = bundle.start(&INIT);
        assert_eq!(running.line(), "ready\n");
        // The container is what it is said to be.
        let status = running.status();
        for line in ["NSpid:\t[0-9\t]*\t1\n", "Uid:\t65534\t", "Seccomp:\t2\n"] {
            assert!(is_match(line).unwrap().eval(&status), "{line:?}: {status}");
        }
        let (sent, received) = running.send_all();
        assert_eq!(running.end(), (String::new(), Some(3)), "{libc:?}");
        assert_eq!(received, sent, "{libc:?}");
    }
}

#[test]
fn ten_thousand_orphans_leave_no_zombie() {
    for &libc in libcs() {
        let Some(mut bundle) = confined("orphans", libc, 64 << 10) else { return };
        let output = bundle.run(&INIT);
        assert_eq!(output.status.code(), Some(0), "{libc:?} {output:?}");
    }
}
