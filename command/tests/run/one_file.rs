//! The static command alone, without an installed library: it makes a copy of the one that it
//! contains, where nobody else can change it.
//!
//! Each test has a mount namespace with its own /run, /dev, /dev/shm and temporary folder.

use std::path::Path;
use std::process::{Command, Output};

use predicates::Predicate;
use predicates::str::{contains, is_match};
use sigward_harness::artifacts;
use sigward_harness::need;
use sigward_harness::programs::copy;
use tempfile::TempDir;

use super::{mode, public_folder};

/// Which library a program has.
const MAPPED: &str = "grep -o -m1 '/[^ ]*libsigward[^ ]*' /proc/self/maps";
const AS_NOBODY: &str = "setpriv --reuid 65534 --regid 65534 --clear-groups";

/// A folder with the command and nothing else.
pub fn alone() -> TempDir {
    let folder = public_folder();
    let command = folder.path().join("sigward");
    copy(artifacts::command(), &command).expect("a copy");
    mode(&command, 0o755);
    folder
}

/// Runs a shell script beside the folder `t`, which everyone can write. In it, `S` is the command.
fn shell(folder: &Path, script: &str) -> Output {
    // Without a loader for 32-bit programs, unless `$LOADER` shows it again.
    let fresh = "LOADER=/lib/ld-linux.so.2; \
                 test ! -e $LOADER || mount --bind /dev/null $LOADER || exit 99\n\
                 mount -t tmpfs -o mode=755 tmpfs /run && \
                 mkdir -p $T $T.dev && mount -t tmpfs -o mode=755,noexec tmpfs $T.dev && \
                 touch $T.dev/null && mount --bind /dev/null $T.dev/null && \
                 mkdir $T.dev/shm && mount --rbind $T.dev /dev && \
                 mount -t tmpfs -o mode=1777 tmpfs /dev/shm && \
                 mount -t tmpfs -o mode=1777 tmpfs $T || exit 99\n";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &[fresh, script].concat()]);
    for row in sigward::config::TABLE {
        command.env_remove(row.name);
    }
    command.env("S", folder.join("sigward")).env("T", folder.join("t"));
    command.env_remove("TMPDIR").env_remove("LD_PRELOAD").env_remove("XDG_RUNTIME_DIR");
    command.output().expect("unshare")
}

#[track_caller]
fn assert_says(script: &str, expected: &str) {
    assert_says_in(&alone(), script, expected);
}

/// In a folder that [`alone`] made.
#[track_caller]
pub fn assert_says_in(folder: &TempDir, script: &str, expected: &str) {
    let output = shell(folder.path(), script);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = expected.replace("$T", folder.path().join("t").to_str().expect("UTF-8"));
    assert!(is_match(format!("^{expected}$")).unwrap().eval(&stdout), "{script}\n{output:#?}");
}

/// Whether namespaces and another user are to be had.
pub fn possible() -> bool {
    need::root() && need::namespaces()
}

#[test]
fn the_command_alone_hardens_a_program() {
    if possible() {
        let said = "/run/sigward/libsigward-[0-9a-f]{16}.so\n";
        assert_says(&format!("umask 077; $S run -- {MAPPED}"), said);
        // The folder and the file can be read by all, and written by nobody else.
        let modes = "umask 077; $S run -- true; cd /run/sigward; stat -c '%a %u' . *";
        assert_says(modes, "755 0\n444 0\n");
    }
}

/// In a folder that only root can enter, the library would be lost there without a word.
#[test]
fn an_entrypoint_that_drops_to_another_user_keeps_the_library() {
    if possible() {
        let drop = format!("umask 077; $S run -- {AS_NOBODY} {MAPPED}");
        assert_says(&drop, "/run/sigward/libsigward-.*.so\n");
        let closed = "chmod 700 /run; mkdir -m 700 $T/own; export XDG_RUNTIME_DIR=$T/own\n";
        assert_says(&format!("{closed}{drop}"), "/dev/shm/sigward-0/libsigward-.*.so\n");
    }
}

#[test]
fn places_are_tried_in_order() {
    if !possible() {
        return;
    }
    let run = format!("$S run -- {MAPPED}");
    let noexec = "mount -o remount,noexec";
    for (arrange, place) in [
        ("export XDG_RUNTIME_DIR=$T", "/run/sigward"),
        // Read-only, or without exec.
        ("mount -o remount,ro /run", "/dev/shm/sigward-0"),
        (&format!("{noexec} /run"), "/dev/shm/sigward-0"),
        (&format!("{noexec} /run; {noexec} /dev/shm; export TMPDIR=$T"), "$T/sigward-0"),
        (
            &format!(
                "for at in /run /dev/shm $T; do {noexec} $at; done; export TMPDIR=$T; \
                 mount -o remount,bind,exec /dev"
            ),
            "/dev/sigward",
        ),
        // The loader would split it.
        (
            "mkdir '/run/a b'; mount -o remount,ro /run; export XDG_RUNTIME_DIR='/run/a b'",
            "/dev/shm/sigward-0",
        ),
    ] {
        assert_says(&format!("{arrange}\n{run}"), &format!("{place}/libsigward-.*.so\n"));
    }
}

#[test]
fn another_user_has_places_of_their_own() {
    if possible() {
        let run = format!("{AS_NOBODY} $S run -- {MAPPED}");
        assert_says(&run, "/dev/shm/sigward-65534/libsigward-.*.so\n");
        let own = "mkdir -m 700 $T/own; chown 65534 $T/own; export XDG_RUNTIME_DIR=$T/own\n";
        assert_says(&format!("{own}{run}"), "$T/own/sigward/libsigward-.*.so\n");
        // What root has put there is there for all.
        let placed = "$S run -- true; mount -o remount,ro /run\n";
        assert_says(&format!("{placed}{run}"), "/run/sigward/libsigward-.*.so\n");
    }
}

#[test]
fn without_a_place_the_program_is_refused() {
    if !possible() {
        return;
    }
    let folder = alone();
    let nowhere = "for at in /run /dev/shm $T; do mount -o remount,noexec $at; done; \
                   TMPDIR=$T $S run -- echo ran; echo $?";
    let output = shell(folder.path(), nowhere);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "125\n", "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in ["/run/sigward: ", "/dev/shm/sigward-0: ", "noexec", "--library PATH"] {
        assert!(contains(part).eval(&said), "{said}");
    }
}

/// What another user prepared is not used, and does not keep the program from starting.
#[test]
fn what_others_can_change_is_not_used() {
    if !possible() {
        return;
    }
    let run = format!("export TMPDIR=$T; $S run -- {MAPPED}");
    let closed = "mount -o remount,ro /run";
    for (arrange, place) in [
        ("mkdir /dev/shm/sigward-0; chown 65534 /dev/shm/sigward-0", "$T/sigward-0"),
        ("mkdir $T/trap; ln -s $T/trap /dev/shm/sigward-0", "$T/sigward-0"),
        ("echo >/dev/shm/sigward-0", "$T/sigward-0"),
        ("chmod 777 /dev/shm", "$T/sigward-0"),
        // Our own folder that was open for a while: its files are compared.
        ("mkdir -m 777 /dev/shm/sigward-0", "/dev/shm/sigward-0"),
    ] {
        let script = format!("{closed}\n{arrange}\n{run}; ls -A $T/trap 2>/dev/null");
        assert_says(&script, &format!("{place}/libsigward-.*.so\n"));
    }
}

/// A file that is not the library, or that another user could change, is replaced.
#[test]
fn a_damaged_copy_is_replaced() {
    if !possible() {
        return;
    }
    let check = "$S run -- sh -c 'cmp $LD_PRELOAD $T/good && stat -c \"%a %u %h\" $LD_PRELOAD'";
    let made = "F=$($S library --print) && cp $F $T/good && chmod 444 $T/good";
    for damage in [
        "printf x >>$F",
        "truncate -s 100 $F",
        "printf x | dd of=$F conv=notrunc bs=1 seek=5000 2>/dev/null",
        "chown 65534 $F",
        "chmod 666 $F",
        "rm $F; ln -s /etc/passwd $F",
        "rm $F; mkfifo $F",
    ] {
        assert_says(&format!("{made}\n{damage}\n{check}"), "444 0 1\n");
    }
}

#[test]
fn racing_starts_all_find_the_library() {
    if possible() {
        // Each line of output is one start.
        let race = format!(
            "for i in $(seq 40); do $S run -- {MAPPED} & done | sort | uniq -c | \
             while read count path; do echo $count; done; wait; ls -A /run/sigward | wc -l"
        );
        assert_says(&race, "40\n1\n");
    }
}

/// The installed copy is used if it is the same file: nothing is written then.
#[test]
fn the_installed_copy_is_used_if_it_is_the_same() {
    if possible() {
        let installed = "cp $S $T/sigward; $S library --extract $T >/dev/null; S=$T/sigward\n";
        let run = format!("{installed}$S run -- {MAPPED}; ls -d /run/sigward");
        assert_says(&run, "$T/libsigward.so\n");
        let other = format!("{installed}printf x >>$T/libsigward.so\n$S run -- {MAPPED}");
        assert!(artifacts::command().exists());
        assert_says(&other, "/run/sigward/libsigward-.*.so\n");
    }
}

/// Root's program may drop to another user, and musl's loader says nothing where it cannot read.
#[test]
fn a_library_that_only_root_can_read_is_copied() {
    if !possible() {
        return;
    }
    let closed = "mkdir -m 700 $T/own; L=$($S library --extract $T/own)\n";
    let run = format!("$S run --library $L -- {AS_NOBODY} {MAPPED}");
    let copy = "/run/sigward/libsigward-[0-9a-f]{16}.so\n";
    for closed in [
        closed.to_owned(),
        format!("{closed}chmod 755 $T/own; chmod 400 $L\n"),
        // Another library than the one in the command.
        format!("{closed}printf x >>$L\n"),
    ] {
        assert_says(&format!("{closed}{run}"), copy);
        let nowhere = "export TMPDIR=$T; for at in /run /dev /dev/shm $T; do \
                       mount -o remount,ro $at; done\n";
        let refused = "sigward: other users cannot read the library $T/own/libsigward.so, and .*\n\
                       125\n";
        assert_says(&format!("{closed}{nowhere}$S run --library $L true 2>&1; echo $?"), refused);
    }
    // What was installed into such a folder.
    let installed = format!("{closed}cp $S $T/own/sigward; $T/own/sigward run -- ");
    assert_says(&format!("{installed}{AS_NOBODY} {MAPPED}"), copy);
    // Of another user's programs, none can drop to a third.
    let others = format!("{closed}chown -R 65534 $T/own; {AS_NOBODY} $S run --library $L {MAPPED}");
    assert_says(&others, "$T/own/libsigward.so\n");
}

/// A capability of the command's file ends at the exec, an ambient one does not.
#[test]
fn a_library_that_the_program_cannot_read_is_refused() {
    if !possible() || need::program("setcap").is_none() {
        return;
    }
    let arrange = "L=$($S library --extract $T); chmod 400 $L; cp $S $T/capable\n\
                   setcap cap_dac_read_search+ep $T/capable || exit 98\n";
    let refused = "sigward: cannot read the library $T/libsigward.so: Permission denied.*\n125\n";
    let run = format!("{AS_NOBODY} $T/capable run --library $L -- true 2>&1; echo $?");
    assert_says(&format!("{arrange}{run}"), refused);
    let ambient = format!(
        "{AS_NOBODY} --inh-caps +dac_read_search --ambient-caps +dac_read_search \
         $S run --library $L -- {MAPPED}"
    );
    assert_says(&format!("{arrange}{ambient}"), "$T/libsigward.so\n");
}

#[test]
fn the_library_can_be_extracted() {
    if possible() {
        let extract = "cd $T; $S library --extract new/folder; stat -c %a new/folder/*; \
                       $S library --extract new/folder; ls -A new/folder; \
                       LD_PRELOAD=$T/new/folder/libsigward.so SIGWARD=on SIGWARD_STATS=1 \
                       /bin/true 2>&1 | cut -c-8";
        let path = "$T/new/folder/libsigward.so\n";
        assert_says(extract, &format!("{path}444\n{path}libsigward.so\nsigward\\[\n"));
        assert_says(
            "$S library --extract /proc 2>&1; echo $?",
            "sigward: --extract /proc: .*\n125\n",
        );
        assert_says("test $($S library) = $($S library --print); echo $?", "0\n");
    }
}

/// With /etc/ld.so.preload, a program has the library already.
#[test]
fn a_library_in_ld_so_preload_is_not_loaded_twice() {
    if !possible() {
        return;
    }
    let arrange = "mkdir $T/etc && cp -a /etc/. $T/etc && mount --bind $T/etc /etc\n\
                   $S library --extract $T/system >/etc/ld.so.preload\n";
    let list = "$S run -- grep -o '/[^ ]*libsigward[^ ]*' /proc/self/maps | sort -u";
    assert_says(&format!("{arrange}{list}; ls -d /run/sigward"), "$T/system/libsigward.so\n");
    let other = "cp $T/system/libsigward.so $T/other.so; printf x >>$T/other.so\n\
                 echo \"# ours: \n$T/other.so\" >/etc/ld.so.preload\n\
                 $S run -- true 2>&1; echo $?";
    let refused =
        "sigward: /etc/ld.so.preload already holds another libsigward.so: $T/other.so, .*\n125\n";
    assert_says(&format!("{arrange}{other}"), refused);
}
