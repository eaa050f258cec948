//! The machine: its kernel, the size of frames, the limit on locked memory, and what
//! moves pages although they are locked.

use std::fs;
use std::path::Path;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use serde::Serialize;
use sigward::arch;
use sigward::os::page;
use sigward::plan;
use sigward::residency::frame;
use sigward::residency::ladder::LARGEST_WHOLE;
use sigward::verdict::{Standing, Verdict};

use super::super::kernel::KernelOptions;
use super::super::library::{self, classes};
use super::super::system;

/// What `--format json` prints of it. The names are an interface: add, do not rename.
#[derive(Serialize)]
pub struct Machine {
    pub kernel: Kernel,
    pub frame: Frame,
    pub memlock: Memlock,
    /// What moves or protects pages although they are locked, and is on here.
    pub disturbers: Vec<Disturber>,
    /// The classes of programs for which this command contains a library: 64, 32.
    pub library_for_bits: Vec<u8>,
    /// The library that `/etc/ld.so.preload` names.
    pub preloaded_everywhere: Option<String>,
    /// Which file it gives to programs of each loader here.
    pub preloaded_for: Vec<system::Served>,
    /// What is wrong with that file, and what it does not reach.
    pub preload_notes: Vec<String>,
}

#[derive(Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent fact")]
pub struct Kernel {
    pub standing: &'static str,
    pub confidence: &'static str,
    pub defect: Option<&'static str>,
    pub auto_acts: bool,
    pub only_reduces: bool,
    pub gvisor: bool,
    pub reasons: Vec<String>,
    /// Whether the texts were given on the command line.
    pub pretended: bool,
}

/// The size of a signal frame, against the constants that programs are built with.
#[derive(Serialize)]
pub struct Frame {
    pub bytes: u64,
    pub from: &'static str,
    /// `MINSIGSTKSZ` and `SIGSTKSZ` of this architecture.
    pub minsigstksz: u64,
    pub sigstksz: u64,
    pub fits_minsigstksz: bool,
    pub fits_sigstksz: bool,
    /// musl 1.2.6 and later refuses smaller stacks.
    pub musl_least: u64,
}

/// `RLIMIT_MEMLOCK`. `None`: no limit.
#[derive(Serialize)]
pub struct Memlock {
    pub soft: Option<u64>,
    pub hard: Option<u64>,
    /// Whether the limit does not count for us.
    pub privileged: bool,
    #[serde(flatten)]
    pub buys: Buys,
    pub remedies: Vec<&'static str>,
}

/// What a limit buys; `None`: as many as there are. What does not fit is touched.
#[derive(Serialize)]
#[allow(clippy::struct_field_names, reason = "they are names of the JSON")]
pub struct Buys {
    /// Stacks of 64 KiB, the most that is held of one: rung lock.
    pub stacks_of_64_kib: Option<u64>,
    /// Stacks of `SIGSTKSZ` bytes, which are locked whole: rung lock.
    pub stacks_of_8_kib: Option<u64>,
    /// Stacks of which only the room for frames is locked: rung frame.
    pub stacks_by_frame: Option<u64>,
}

#[derive(Serialize)]
pub struct Disturber {
    pub what: &'static str,
    pub setting: String,
    pub effect: &'static str,
}

const MINSIGSTKSZ: u64 = arch::LEAST_ALTSTACK as u64;
const SIGSTKSZ: u64 = if arch::LEAST_ALTSTACK == 2048 { 8192 } else { 16384 };

/// What the remedies ask for.
const ENOUGH: u64 = 8 << 20;

/// Finite figures: a daemon that may not raise the limit cannot grant "unlimited".
pub const REMEDIES: [&str; 4] = [
    "in a shell: ulimit -l 8192",
    "Docker: docker run --ulimit memlock=8388608",
    "systemd: LimitMEMLOCK=8M",
    "Kubernetes, where a pod cannot set it: LimitMEMLOCK=8M in containerd's unit on the node",
];

impl Machine {
    pub fn look(options: &KernelOptions, verdict: &Verdict) -> Self {
        let frame = frame();
        let (soft, hard) = limits();
        // CAP_IPC_LOCK is what counts; root usually has it.
        let privileged = has_ipc_lock();
        let least = soft.filter(|_| !privileged);
        let remedies = match least {
            Some(soft) if soft < ENOUGH => REMEDIES.to_vec(),
            _ => Vec::new(),
        };
        Machine {
            kernel: Kernel {
                standing: verdict.standing.as_str(),
                confidence: verdict.confidence.as_str(),
                defect: verdict.quirk.map(|quirk| quirk.id),
                auto_acts: verdict.acts(),
                only_reduces: verdict.only_reduces(),
                gvisor: verdict.gvisor,
                reasons: options.reasons(verdict),
                pretended: options.is_given(),
            },
            memlock: Memlock {
                soft,
                hard,
                privileged,
                buys: Buys::of(least, frame.bytes),
                remedies,
            },
            frame,
            disturbers: disturbers(),
            library_for_bits: classes::all(),
            preloaded_everywhere: preloaded_everywhere(),
            preloaded_for: system::served(),
            preload_notes: system::notes(),
        }
    }
}

/// Whether a kernel with this verdict has a defect that the library is for. `None`: not
/// known.
pub fn is_affected(verdict: &Verdict) -> Option<bool> {
    match verdict.standing {
        Standing::Affected => Some(true),
        Standing::NotAffected => Some(false),
        Standing::Unknown => None,
    }
}

impl Buys {
    pub fn of(limit: Option<u64>, frame: u64) -> Self {
        let page = page::size() as u64;
        let window = plan::headroom(usize::try_from(frame).unwrap_or(usize::MAX)) as u64;
        // A window that is not aligned touches a page more.
        let by_frame = window.div_ceil(page).saturating_add(1).saturating_mul(page);
        let of = |bytes: u64| limit.map(|limit| limit / bytes.max(page));
        Buys {
            stacks_of_64_kib: of(LARGEST_WHOLE as u64),
            stacks_of_8_kib: of(SIGSTKSZ),
            stacks_by_frame: of(by_frame.min(LARGEST_WHOLE as u64)),
        }
    }
}

fn frame() -> Frame {
    // SAFETY: a plain query; it returns 0 if the kernel does not provide the size.
    let told = frame::told(unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) });
    let (bytes, from) = match told {
        None => (arch::largest_frame() as u64, arch::FRAME_SOURCE),
        Some(told) => (told as u64, "AT_MINSIGSTKSZ"),
    };
    Frame {
        bytes,
        from,
        minsigstksz: MINSIGSTKSZ,
        sigstksz: SIGSTKSZ,
        fits_minsigstksz: bytes <= MINSIGSTKSZ,
        fits_sigstksz: bytes <= SIGSTKSZ,
        musl_least: bytes.saturating_add(1024),
    }
}

fn limits() -> (Option<u64>, Option<u64>) {
    let finite = |limit| Some(limit).filter(|limit| *limit != RLIM_INFINITY);
    getrlimit(Resource::RLIMIT_MEMLOCK)
        .map_or((Some(0), Some(0)), |(soft, hard)| (finite(soft), finite(hard)))
}

/// Whether we have `CAP_IPC_LOCK`, by capget(2), which needs no /proc.
fn has_ipc_lock() -> bool {
    const VERSION_3: u32 = 0x2008_0522;
    const IPC_LOCK: u32 = 14;
    let header = [VERSION_3, 0];
    let mut sets = [0_u32; 6];
    // SAFETY: the header and the sets have the layout of version 3, pid 0 is ourselves.
    let asked = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) };
    asked == 0 && sets[0] >> IPC_LOCK & 1 == 1
}

/// Reads a setting of the kernel.
fn setting(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn disturbers() -> Vec<Disturber> {
    let mut all = Vec::new();
    let mut add = |what, setting: Option<String>, is_on: fn(&str) -> bool, effect| {
        if let Some(setting) = setting.filter(|setting| is_on(setting)) {
            all.push(Disturber { what, setting, effect });
        }
    };
    let not_0 = |setting: &str| setting != "0";
    add(
        "NUMA balancing",
        setting("/proc/sys/kernel/numa_balancing"),
        not_0,
        "unmaps pages for a moment, locked ones too; kernel.numa_balancing=0",
    );
    add(
        "compaction of locked memory",
        setting("/proc/sys/vm/compact_unevictable_allowed"),
        not_0,
        "moves locked pages; vm.compact_unevictable_allowed=0",
    );
    add(
        "transparent huge pages",
        setting("/sys/kernel/mm/transparent_hugepage/enabled"),
        |setting| !setting.contains("[never]"),
        "khugepaged moves the pages of large mappings; prctl(PR_SET_THP_DISABLE)",
    );
    add(
        "KSM",
        setting("/sys/kernel/mm/ksm/run"),
        |setting| setting == "1",
        "write-protects equal pages of processes that ask for it; do not use it on stacks",
    );
    add(
        "swap",
        setting("/proc/swaps").filter(|text| text.lines().count() > 1).map(|_| "on".to_owned()),
        |_| true,
        "evicts stacks that are only touched; see memlock",
    );
    all
}

/// An entry of `/etc/ld.so.preload` that is our library.
fn preloaded_everywhere() -> Option<String> {
    let text = fs::read_to_string("/etc/ld.so.preload").ok()?;
    let mut entries =
        system::preload::entries(text.as_bytes()).into_iter().map(String::from_utf8_lossy);
    entries
        .find(|it| Path::new(&**it).file_name().is_some_and(|it| it == library::NAME))
        .map(String::from)
}
