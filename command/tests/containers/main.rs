//! The command in real containers: bundles for runc, with its default mounts and namespaces, and
//! with the system calls that container engines allow.

mod bundle;
mod dockerfiles;
mod every_process;
mod init;
mod seccomp;

use sigward_harness::need;
use sigward_harness::programs::{Libc, build, libcs};

use bundle::Bundle;
use seccomp::Profile;

const NOBODY: u32 = 65534;

/// A container for the program `name`. `None` if there are none here: runc may need more than root.
fn container(name: &str, libc: Libc) -> Option<Bundle> {
    if !need::root() {
        return None;
    }
    let mut bundle = Bundle::new(&build(name, libc).unwrap(), libc)?;
    let output = bundle.run(&["/sigward", "--version"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let possible = need::optional(output.status.success(), "runc's containers", words.trim());
    possible.then_some(bundle)
}

const ON: [&str; 7] = ["/sigward", "run", "--mode", "on", "--set", "SIGWARD_STATS=1", "--"];

#[test]
fn a_program_is_hardened_in_every_container() {
    for &libc in libcs() {
        for profile in Profile::ALL {
            let Some(mut bundle) = container("altstack_threads", libc) else { return };
            if !profile.apply_to(&mut bundle) {
                return;
            }
            is_hardened_for_root_and_nobody(&mut bundle, &format!("{libc:?} {profile:?}"));
        }
    }
}

fn is_hardened_for_root_and_nobody(bundle: &mut Bundle, place: &str) {
    let check = |bundle: &mut Bundle, what: &str, init: bool| {
        let mut arguments = ON.to_vec();
        arguments.splice(2..2, init.then_some("--init"));
        arguments.extend(["/program", "8"]);
        let output = bundle.run(&arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(stdout, "threads: 8, signals: 8\n", "{place} {what}: {stderr}");
        let id = if init { "" } else { "1" };
        assert!(stderr.contains(&format!("sigward[{id}")), "{place} {what}: {stderr}");
        assert!(stderr.contains("duty=act stacks=8"), "{place} {what}: {stderr}");
    };
    // Nothing but the command and the program, and a root that cannot be written.
    check(bundle, "root, alone", false);
    check(bundle, "root, alone", true);
    bundle.memlock(0);
    check(bundle, "root, no locks", true);
    bundle.extract();
    bundle.user(NOBODY);
    for bytes in [64 << 10, 0] {
        bundle.memlock(bytes);
        check(bundle, "nobody", false);
        check(bundle, "nobody", true);
    }
}

/// Another user finds no place on a read-only root, whose /dev/shm is noexec.
#[test]
fn without_a_place_the_container_does_not_start() {
    let Some(mut bundle) = container("altstack_threads", Libc::Glibc) else { return };
    bundle.user(NOBODY);
    let output = bundle.run(&[&ON[..], &["/program", "8"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125), "{stderr}");
    assert!(stderr.contains("--library PATH"), "{stderr}");
}
