//! When the kernel sets `AT_SECURE`, at which the loader ignores `LD_PRELOAD` without a word:
//! if a program gets other credentials than the real ones of its caller
//! (`cap_bprm_creds_from_file`).

use std::ffi::CString;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::prctl;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{Gid, Uid, getegid, geteuid, getgid, getuid};

/// Why the loader will ignore `LD_PRELOAD` in every program that this process becomes.
pub fn of_this_process() -> Option<String> {
    let (real, effective) = (getuid(), geteuid());
    if real != effective {
        return Some(format!("the real user id is {real}, the effective one {effective}"));
    }
    let (real, effective) = (getgid(), getegid());
    (real != effective)
        .then(|| format!("the real group id is {real}, the effective one {effective}"))
}

/// What the file of a program changes for those who execute it.
#[derive(Default)]
pub struct Privileges {
    /// Each change that it makes for us, in words: the loader ignores `LD_PRELOAD`.
    pub for_us: Vec<String>,
    /// Each change that it makes for others only.
    pub for_others: Vec<String>,
    /// Each change that the file asks for and the kernel makes for nobody here, and why.
    pub ignored: Vec<(String, &'static str)>,
}

/// Judges the program at `path`, for a process whose real and effective ids are alike.
pub fn of_program(path: &Path, metadata: &Metadata) -> Privileges {
    let mut found = Privileges::default();
    let nosuid = statvfs(path).is_ok_and(|mount| mount.flags().contains(FsFlags::ST_NOSUID));
    let no_new_privileges = prctl::get_no_new_privs().unwrap_or(false);
    let ignored = match (nosuid, no_new_privileges) {
        (true, _) => Some("the file system is mounted nosuid"),
        (false, true) => Some("no_new_privs is set here"),
        (false, false) => None,
    };
    let mut add = |words: String, ignored: Option<&'static str>, for_us: bool| match ignored {
        Some(why) => found.ignored.push((words, why)),
        None if for_us => found.for_us.push(words),
        None => found.for_others.push(words),
    };
    let mode = metadata.mode();
    if mode & 0o4000 != 0 {
        let owner = Uid::from_raw(metadata.uid());
        add(format!("it is setuid (user {owner})"), ignored, owner != getuid());
    }
    // Without the group's execute bit, setgid means mandatory locking.
    if mode & 0o2010 == 0o2010 {
        let group = Gid::from_raw(metadata.gid());
        add(format!("it is setgid (group {group})"), ignored, group != getgid());
    }
    if let Some(file) = FileCapabilities::of(path) {
        // They add nothing for root.
        let secure = !getuid().is_root()
            && file.make_secure(&ProcessCapabilities::ours(), no_new_privileges);
        // Effective ones make a program secure even where nothing is gained.
        let ignored = ignored.filter(|_| nosuid || !secure);
        add("it has file capabilities".to_owned(), ignored, secure);
    }
    found
}

/// The extended attribute `security.capability` (`struct vfs_cap_data`).
struct FileCapabilities {
    /// They are effective from the start.
    effective: bool,
    permitted: u64,
    inheritable: u64,
}

impl FileCapabilities {
    fn of(path: &Path) -> Option<Self> {
        let path = CString::new(path.as_os_str().as_bytes()).ok()?;
        let name = c"security.capability";
        // Revision 3 has 24 bytes.
        let mut data = [0_u8; 24];
        // SAFETY: both names are NUL-terminated, and `data` has the length that is given.
        let size = unsafe {
            libc::getxattr(path.as_ptr(), name.as_ptr(), data.as_mut_ptr().cast(), data.len())
        };
        Self::parse(data.get(..usize::try_from(size).ok()?)?)
    }

    fn parse(data: &[u8]) -> Option<Self> {
        let (words, _) = data.as_chunks::<4>();
        let word = |at: usize| words.get(at).map_or(0, |word| u64::from(u32::from_le_bytes(*word)));
        let head = *words.first()?;
        Some(Self {
            effective: head[0] & 1 != 0,
            permitted: word(1) | word(3) << 32,
            inheritable: word(2) | word(4) << 32,
        })
    }

    /// Whether a process with `caller`'s capabilities that executes the file is marked.
    fn make_secure(&self, caller: &ProcessCapabilities, no_new_privileges: bool) -> bool {
        let mut gained = self.permitted & caller.bounding | self.inheritable & caller.inheritable;
        if no_new_privileges {
            gained &= caller.permitted;
        }
        self.effective || gained & !caller.ambient != 0
    }
}

/// The capabilities of a process, as bits.
struct ProcessCapabilities {
    permitted: u64,
    inheritable: u64,
    bounding: u64,
    ambient: u64,
}

impl ProcessCapabilities {
    /// Ours. Without /proc, all: then every file capability counts.
    fn ours() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let set = |name: &str, unknown: u64| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(unknown)
        };
        Self {
            permitted: set("CapPrm:", !0),
            inheritable: set("CapInh:", !0),
            bounding: set("CapBnd:", !0),
            ambient: set("CapAmb:", 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: ProcessCapabilities =
        ProcessCapabilities { permitted: 0, inheritable: 0, bounding: !0, ambient: 0 };

    fn file(effective: bool, permitted: u64, inheritable: u64) -> FileCapabilities {
        FileCapabilities { effective, permitted, inheritable }
    }

    #[test]
    fn the_attribute_is_read() {
        let mut data = [0_u8; 20];
        data[..4].copy_from_slice(&0x0200_0001_u32.to_le_bytes());
        data[4..8].copy_from_slice(&(1_u32 << 10).to_le_bytes());
        data[12..16].copy_from_slice(&2_u32.to_le_bytes());
        let found = FileCapabilities::parse(&data).expect("a whole attribute");
        assert!(found.effective);
        assert_eq!((found.permitted, found.inheritable), (1 << 10 | 2 << 32, 0));
        assert!(FileCapabilities::parse(&[]).is_none());
    }

    #[test]
    fn capabilities_count_if_they_add_something() {
        for (file, caller, no_new_privileges, secure) in [
            (file(false, 4, 0), &NONE, false, true),
            (file(false, 4, 0), &NONE, true, false),
            (file(true, 4, 0), &NONE, true, true),
            (file(false, 0, 4), &NONE, false, false),
            (file(false, 0, 4), &ProcessCapabilities { inheritable: 4, ..NONE }, false, true),
            (file(false, 4, 0), &ProcessCapabilities { ambient: 4, ..NONE }, false, false),
            (file(false, 4, 0), &ProcessCapabilities { permitted: 4, ..NONE }, true, true),
            (file(false, 4, 0), &ProcessCapabilities { bounding: 0, ..NONE }, false, false),
        ] {
            assert_eq!(file.make_secure(caller, no_new_privileges), secure);
        }
    }
}
