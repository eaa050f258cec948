//! Who can read a library: also the loader, in the programs that come?

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::unistd::geteuid;

/// Whether every user can read the file. An access control list may say otherwise: it is not asked.
/// Nor is the root folder: where others cannot enter that, they can run nothing.
pub fn by_all(path: &Path) -> bool {
    let allows = |path: &Path, bit: u32| fs::metadata(path).is_ok_and(|it| it.mode() & bit != 0);
    path.canonicalize().is_ok_and(|path| {
        let mut folders = path.ancestors().skip(1).filter(|folder| folder.parent().is_some());
        allows(&path, 0o004) && folders.all(|folder| allows(folder, 0o001))
    })
}

/// Opens a file if that is possible after an exec too. Capabilities that let this process read
/// everything end there, unless it is root or they are ambient.
pub fn open_as_after_exec(path: &Path) -> io::Result<File> {
    let open = || {
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        File::options().read(true).custom_flags(flags).open(path)
    };
    let file = open()?;
    if root_may_read_all() {
        return Ok(file);
    }
    let Some(lost) = Capabilities::ours().filter(|it| it.of_files() && !are_ambient()) else {
        return Ok(file);
    };
    lost.without_those_of_files().set();
    let file = open();
    lost.set();
    file
}

/// Whether the programs that this process becomes get root's capabilities.
fn root_may_read_all() -> bool {
    // SAFETY: a plain query.
    geteuid().is_root() && unsafe { libc::prctl(libc::PR_GET_SECUREBITS) } & NO_ROOT == 0
}

/// Whether one of the two outlives an exec.
fn are_ambient() -> bool {
    let is_ambient = |capability: libc::c_ulong| {
        // SAFETY: a plain query.
        unsafe {
            libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1
        }
    };
    is_ambient(1) || is_ambient(2)
}

/// `SECBIT_NOROOT`: root is a user like others.
const NO_ROOT: i32 = 1;

/// `CAP_DAC_OVERRIDE` and `CAP_DAC_READ_SEARCH`, as bits of the first word.
const OF_FILES: u32 = 1 << 1 | 1 << 2;

/// `struct __user_cap_header_struct`, version 3, of this thread.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

static OWN: Header = Header { version: 0x2008_0522, pid: 0 };

/// Two of `struct __user_cap_data_struct`: effective, permitted and inheritable sets.
#[derive(Clone, Copy)]
#[repr(C)]
struct Capabilities([[u32; 3]; 2]);

impl Capabilities {
    fn ours() -> Option<Self> {
        let mut found = Self([[0; 3]; 2]);
        // SAFETY: a header, and room for what this version of it asks for.
        let result = unsafe { libc::syscall(libc::SYS_capget, &raw const OWN, &raw mut found.0) };
        (result == 0).then_some(found)
    }

    fn set(&self) {
        // SAFETY: as above; a set that is within the permitted one.
        unsafe { libc::syscall(libc::SYS_capset, &raw const OWN, &raw const self.0) };
    }

    fn of_files(&self) -> bool {
        self.0[0][0] & OF_FILES != 0
    }

    fn without_those_of_files(mut self) -> Self {
        self.0[0][0] &= !OF_FILES;
        self
    }
}
