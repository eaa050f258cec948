//! `/etc/ld.so.preload`: what others wrote stays, byte for byte, and comes back.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use sigward_harness::need;

use super::{ENTRY, LIBRARY, PRELOAD, Root};

/// Texts with an entry of another library, which the loader finds.
const TEXTS: [&str; 6] = [
    "/opt/libother.so",
    "/opt/libother.so\n",
    "# why\n/opt/libother.so:/opt/libother.so \t\n\n",
    "/opt/libother.so\n# why, with a long comment that has no end",
    "#a\n#b\n/opt/libother.so\n",
    "\n\n /opt/libother.so#",
];

/// A root with a library that others preload: any will do.
fn with_other() -> Root {
    let root = Root::new();
    let libc = root.run(&["/bin/ls", "/lib/x86_64-linux-gnu/libc.so.6"]);
    assert!(libc.status.success(), "{libc:?}");
    root.add(&root.at("lib/x86_64-linux-gnu/libc.so.6"), "/opt/libother.so");
    root
}

#[test]
fn entries_of_others_stay_and_the_file_comes_back_as_it_was() {
    if !need::root() {
        return;
    }
    let root = with_other();
    for text in TEXTS {
        root.write(PRELOAD, text);
        fs::set_permissions(root.at(PRELOAD), PermissionsExt::from_mode(0o640)).unwrap();
        chown(root.at(PRELOAD), Some(0), Some(12)).unwrap();
        let inode = fs::metadata(root.at(PRELOAD)).unwrap().ino();
        let before = root.everything();
        root.starts("before");

        root.must(&["install"]);
        let now = root.read(PRELOAD).unwrap();
        assert!(now.contains(text) && now.contains(ENTRY), "{now:?}");
        let found = fs::metadata(root.at(PRELOAD)).unwrap();
        assert_eq!((found.mode() & 0o7777, found.gid()), (0o640, 12));
        assert!(root.is_in_force(), "{text:?}");
        root.starts(text);

        root.must(&["install"]);
        assert_eq!(root.read(PRELOAD).unwrap(), now, "a second install changes nothing");

        root.must(&["uninstall"]);
        root.is_as(&before, text);
        assert_eq!(fs::metadata(root.at(PRELOAD)).unwrap().ino(), inode, "the very file");
        root.must(&["uninstall"]);
        root.is_as(&before, "a second uninstall");
    }
}

#[test]
fn without_a_file_there_is_none_afterwards() {
    if !need::root() {
        return;
    }
    for root in [Root::new(), Root::with_systemd()] {
        let before = root.everything();
        root.must(&["install"]);
        root.starts("installed");
        root.must(&["uninstall"]);
        root.is_as(&before, "removed");
    }
}

#[test]
fn what_was_added_meanwhile_stays() {
    if !need::root() {
        return;
    }
    let root = with_other();
    for (before, added) in [(None, "/opt/libother.so\n"), (Some("# mine\n"), "/opt/libother.so\n")]
    {
        if let Some(text) = before {
            root.write(PRELOAD, text);
        }
        root.must(&["install"]);
        let now = root.read(PRELOAD).unwrap();
        root.write(PRELOAD, now + added);
        root.must(&["install"]);
        root.must(&["uninstall"]);
        assert_eq!(root.read(PRELOAD).unwrap(), format!("{}{added}", before.unwrap_or_default()));
        assert!(!root.at(LIBRARY).exists());
        root.starts("removed");
        fs::remove_file(root.at(PRELOAD)).unwrap();
    }
}

/// Somebody's tool wrote the whole file again, without our entry.
#[test]
fn a_file_without_our_entry_is_left_alone() {
    if !need::root() {
        return;
    }
    let root = with_other();
    root.write(PRELOAD, "# old\n");
    root.must(&["install"]);
    root.write(PRELOAD, "/opt/libother.so # new\n");
    root.must(&["uninstall"]);
    assert_eq!(root.read(PRELOAD).unwrap(), "/opt/libother.so # new\n");
    root.must(&["install"]);
    root.must(&["uninstall"]);
    assert_eq!(root.read(PRELOAD).unwrap(), "/opt/libother.so # new\n");
}

/// The loader's own word: the names that it complains of are those that we read.
#[test]
fn names_are_read_as_the_loader_reads_them() {
    if !need::root() {
        return;
    }
    let root = Root::new();
    for (text, names) in [
        ("/a.so b.so:c.so\td\n\n/e.so", "/a.so b.so c.so d /e.so"),
        ("/b.so\r\n", "/b.so\r"),
        ("/a.so:/b.so#c", "/a.so /b.so"),
        ("#/x\n/b.so#y\n", "/b.so#y"),
        ("# a\n/x.so\n# b\n", "/x.so b"),
        ("#a\n#b\n/a/long/name.so\n", "/a/long/name.so"),
        ("/p.so\n#a\n#b\n/x.so\n", "/p.so b /x.so"),
        ("/a.so\0/b.so /c.so\n", "/a.so"),
    ] {
        root.write(PRELOAD, text);
        let output = root.run(&["/bin/true"]);
        let words = String::from_utf8(output.stderr).unwrap();
        let told = words.split("object '").skip(1).filter_map(|rest| rest.split('\'').next());
        assert_eq!(told.collect::<Vec<_>>().join(" "), names, "{text:?}");
    }
}
