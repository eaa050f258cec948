//! Whether a program runs with other credentials than its caller's. The kernel then sets
//! `AT_SECURE`, and the loader ignores `LD_PRELOAD`.

use std::ffi::CString;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::prctl::get_no_new_privs;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{Gid, Uid, getegid, geteuid, getgid, getuid};

/// What the file at `path` changes for its callers.
pub struct Privileges {
    /// Each change that it makes for us, in words.
    pub for_us: Vec<String>,
    /// Each change that it makes for others only.
    pub for_others: Vec<String>,
    /// Why none is made, although the file asks for it.
    pub ignored: Option<&'static str>,
}

/// Reads them.
pub fn of(path: &Path, metadata: &Metadata) -> Privileges {
    let mode = metadata.mode();
    let (mut for_us, mut for_others) = (Vec::new(), Vec::new());
    if mode & 0o4000 != 0 {
        let owner = Uid::from_raw(metadata.uid());
        let same = owner == getuid() && getuid() == geteuid();
        let words = format!("it is setuid (user {owner})");
        if same { &mut for_others } else { &mut for_us }.push(words);
    }
    // Without the group's execute bit, setgid means mandatory locking.
    if mode & 0o2010 == 0o2010 {
        let group = Gid::from_raw(metadata.gid());
        let same = group == getgid() && getgid() == getegid();
        let words = format!("it is setgid (group {group})");
        if same { &mut for_others } else { &mut for_us }.push(words);
    }
    if has_capabilities(path) {
        // They add nothing for root.
        let words = "it has file capabilities".to_owned();
        if getuid().is_root() { &mut for_others } else { &mut for_us }.push(words);
    }
    let nosuid = statvfs(path).is_ok_and(|found| found.flags().contains(FsFlags::ST_NOSUID));
    let ignored = if for_us.is_empty() && for_others.is_empty() {
        None
    } else if nosuid {
        Some("the file system is mounted nosuid")
    } else if get_no_new_privs().unwrap_or(false) {
        Some("no_new_privs is set here")
    } else {
        None
    };
    Privileges { for_us, for_others, ignored }
}

fn has_capabilities(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    let name = c"security.capability";
    // SAFETY: both names are NUL-terminated; with size 0 nothing is written.
    unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) > 0 }
}
