//! A kernel, by its own texts: version, and who numbers it.

use std::ffi::CStr;
use std::mem::MaybeUninit;

use sigward::os::call;
use sigward::quirks::Version;
use sigward::verdict::{self, CpuTraits, KernelTexts, Text, Verdict};

use crate::quirks::model::{Arch, System};

/// The texts in which a kernel describes itself.
pub struct Texts {
    pub sysname: String,
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub version: String,
    /// `uname -m`.
    pub machine: String,
    /// `/proc/version`.
    pub proc_version: Option<String>,
    /// `/proc/version_signature` (Ubuntu).
    pub version_signature: Option<String>,
}

impl Texts {
    /// The running kernel's.
    pub fn of_this_kernel() -> Self {
        let mut name = MaybeUninit::uninit();
        let name = call::uname(&mut name).ok();
        let field = |which: fn(&libc::utsname) -> &[libc::c_char]| {
            let text = name.and_then(|name| {
                let bytes: Vec<u8> = which(name).iter().map(|byte| *byte as u8).collect();
                Some(CStr::from_bytes_until_nul(&bytes).ok()?.to_string_lossy().into_owned())
            });
            text.unwrap_or_default()
        };
        let read = |path| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
        Self {
            sysname: field(|name| &name.sysname),
            release: field(|name| &name.release),
            version: field(|name| &name.version),
            machine: field(|name| &name.machine),
            proc_version: read("/proc/version"),
            version_signature: read("/proc/version_signature"),
        }
    }

    /// Those of another kernel: its release, or the text of its /proc/version, or what
    /// `uname -a` prints. A `FreeBSD` release starts with that word.
    pub fn parse(text: &str, version_signature: Option<&str>) -> Self {
        let text = text.trim();
        let words = || text.split_whitespace();
        let numbered = |word: &&str| {
            word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.')
        };
        let sysname = if text.starts_with("FreeBSD ") { "FreeBSD" } else { "Linux" };
        let release = words().find(numbered).or_else(|| words().next()).unwrap_or("");
        let rest = text.split_once(release).map_or("", |(_, rest)| rest).trim();
        // `Linux version 5.4.0 (…) (gcc version 9.2.1 …) #1 SMP …`
        let version = match rest.find('#') {
            Some(at) if !rest.starts_with('#') => rest.get(at..).unwrap_or(""),
            _ => rest,
        };
        let compiler = compiler(rest);
        let proc_version = (!rest.is_empty() && sysname == "Linux")
            .then(|| format!("Linux version {release} {rest}{compiler}"));
        let named = |word: &str| Arch::named(word).is_some();
        let machine = text
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .find(|word| named(word))
            .unwrap_or("");
        Self {
            sysname: sysname.to_owned(),
            release: release.to_owned(),
            version: version.to_owned(),
            machine: machine.to_owned(),
            proc_version,
            version_signature: version_signature.map(str::to_owned),
        }
    }

    /// What the library's own judge says of a kernel with these texts.
    pub fn verdict(&self, machine: &str, cpu: CpuTraits) -> Verdict {
        verdict::judge(&self.borrowed(machine, cpu))
    }

    fn borrowed<'a>(&'a self, machine: &'a str, cpu: CpuTraits) -> KernelTexts<'a> {
        KernelTexts {
            sysname: self.sysname.as_bytes(),
            release: self.release.as_bytes(),
            version: self.version.as_bytes(),
            machine: machine.as_bytes(),
            proc_version: self.proc_version.as_deref().map(str::as_bytes),
            version_signature: self.version_signature.as_deref().map(str::as_bytes),
            cpu,
        }
    }
}

/// The compiler of a shortened text, `gcc 9`, in the kernel's own words; empty if there is none
/// or if the text has them.
fn compiler(text: &str) -> String {
    let after = text.split_once("gcc").map(|(_, rest)| rest.trim_start_matches([' ', '-']));
    let digits = after.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(""));
    match digits {
        Some(major) if !major.is_empty() && !text.contains('(') => {
            format!(" (gcc version {major}.0.0)")
        }
        _ => String::new(),
    }
}

/// Who gave the kernel its number, and so what the number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// kernel.org: the number is the truth.
    Plain,
    /// A vendor who follows a stable branch under its own numbers; may be a few fixes ahead.
    Follows(&'static str),
    /// A vendor who keeps the number and adds fixes of its own choice: the number tells which
    /// fixes are in at least.
    Keeps(&'static str),
    /// A vendor who keeps the number and adds features too: it tells nothing.
    Reworks(&'static str),
}

impl Origin {
    /// The vendor; `None` for kernel.org.
    pub const fn vendor(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Follows(vendor) | Self::Keeps(vendor) | Self::Reworks(vendor) => Some(vendor),
        }
    }
}

/// A kernel.
pub struct Kernel {
    pub system: System,
    pub release: String,
    /// The upstream version, and the text that it comes from.
    pub version: Option<(Version, Text)>,
    /// A release candidate of that version.
    pub candidate: bool,
    pub origin: Origin,
}

impl Kernel {
    pub fn new(texts: &Texts) -> Self {
        let system = System::named(&texts.sysname);
        let upstream =
            verdict::upstream_version(&texts.borrowed(&texts.machine, CpuTraits::MODERN));
        let suffix = suffix(&texts.release);
        Self {
            system,
            release: texts.release.clone(),
            version: upstream,
            candidate: suffix.starts_with("-rc"),
            origin: match system {
                System::Linux => origin(texts, suffix, upstream.map(|(version, _)| version)),
                _ => Origin::Plain,
            },
        }
    }
}

/// What follows the number in a release.
fn suffix(release: &str) -> &str {
    let number = |letter: char| letter.is_ascii_digit() || letter == '.';
    release.trim_start_matches(number)
}

/// Marks of vendors in a release, and what their numbers say.
const VENDORS: [(&str, Origin); 22] = [
    ("uek", Origin::Reworks("Oracle (UEK)")),
    (".el6", Origin::Reworks("Red Hat (or a rebuild)")),
    (".el7", Origin::Reworks("Red Hat (or a rebuild)")),
    (".el8", Origin::Reworks("Red Hat (or a rebuild)")),
    (".el9", Origin::Reworks("Red Hat (or a rebuild)")),
    (".el10", Origin::Reworks("Red Hat (or a rebuild)")),
    (".an8", Origin::Reworks("Anolis")),
    (".an23", Origin::Reworks("Anolis")),
    (".tl3", Origin::Reworks("TencentOS")),
    (".oe", Origin::Reworks("openEuler")),
    ("-lp15", Origin::Reworks("SUSE")),
    ("-150", Origin::Reworks("SUSE")),
    ("-pve", Origin::Keeps("Proxmox")),
    (".amzn", Origin::Follows("Amazon")),
    (".fc", Origin::Follows("Fedora")),
    ("-arch", Origin::Follows("Arch")),
    ("-default", Origin::Follows("openSUSE")),
    ("-microsoft-standard", Origin::Follows("Microsoft")),
    (".cm2", Origin::Follows("Microsoft")),
    (".azl3", Origin::Follows("Microsoft")),
    ("-android", Origin::Reworks("Android")),
    ("-xuantie", Origin::Reworks("XuanTie")),
];

fn origin(texts: &Texts, suffix: &str, version: Option<Version>) -> Origin {
    let is_counter = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || c == '-' || c == '.');
    if texts.proc_version.as_deref().is_some_and(|text| text.contains("Android ")) {
        return Origin::Reworks("Android");
    }
    let candidate = suffix.strip_prefix("-rc").is_some_and(is_counter);
    if suffix.is_empty() || suffix == "+" || candidate {
        // Debian shows its package's version, whatever the release is.
        return if texts.version.contains("Debian ") {
            Origin::Follows("Debian")
        } else {
            Origin::Plain
        };
    }
    if texts.version.contains("Debian ") {
        return Origin::Follows("Debian");
    }
    if let Some((_, origin)) = VENDORS.iter().find(|(mark, _)| suffix.contains(mark)) {
        return *origin;
    }
    // Real-time patches go on top of a stable version.
    if suffix.strip_prefix("-rt").is_some_and(is_counter) {
        return Origin::Follows("the real-time tree");
    }
    // `5.2.2-050202-generic`: Ubuntu's builds of unchanged sources.
    let mainline = suffix.strip_prefix("-0").is_some_and(|rest| {
        rest.len() > 6 && rest.bytes().take(5).all(|byte| byte.is_ascii_digit())
    });
    if mainline {
        return Origin::Follows("Ubuntu's mainline builds");
    }
    let signed = texts.version_signature.as_deref().is_some_and(|text| text.starts_with("Ubuntu"));
    if signed || texts.version.contains("Ubuntu") {
        return Origin::Keeps("Ubuntu");
    }
    match version {
        // `5.4.0-52-generic`: the number was kept since the branch began.
        Some(version) if version.patch == 0 => Origin::Keeps("a vendor"),
        _ => Origin::Follows("a vendor"),
    }
}

/// The options of a kernel's build, where a distribution puts them.
pub fn config(release: &str) -> Option<String> {
    std::fs::read_to_string(format!("/boot/config-{release}"))
        .or_else(|_| std::fs::read_to_string(format!("/lib/modules/{release}/config")))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(text: &str) -> Kernel {
        Kernel::new(&Texts::parse(text, None))
    }

    #[test]
    fn a_release_or_a_whole_text_names_the_kernel() {
        for (text, release, version, machine) in [
            ("6.12.60", "6.12.60", "6.12.60", ""),
            ("5.4.1 … gcc 9", "5.4.1", "5.4.1", ""),
            ("4.18.0-193.el8.x86_64", "4.18.0-193.el8.x86_64", "4.18.0", "x86_64"),
            (
                "Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian \
                 12.2.0-14) 12.2.0, GNU ld) #1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)",
                "6.1.0-18-amd64",
                "6.1.76",
                "amd64",
            ),
            (
                "Linux host.example 6.8.4 #1 SMP Thu Apr 4 2024 riscv64 GNU/Linux",
                "6.8.4",
                "6.8.4",
                "riscv64",
            ),
            ("nonsense", "nonsense", "", ""),
            ("", "", "", ""),
        ] {
            let texts = Texts::parse(text, None);
            assert_eq!(texts.release, release, "{text}");
            assert_eq!(texts.machine, machine, "{text}");
            let found =
                kernel(text).version.map_or(String::new(), |(version, _)| version.to_string());
            assert_eq!(found, version, "{text}");
        }
        assert_eq!(kernel("FreeBSD 9.2-RELEASE").system, System::FreeBsd);
    }

    #[test]
    fn vendors_are_told_apart_by_what_their_numbers_say() {
        for (text, origin) in [
            ("6.12.60", Origin::Plain),
            ("6.19.0-rc3", Origin::Plain),
            ("6.6.1+", Origin::Plain),
            ("4.18.0-193.el8", Origin::Reworks("Red Hat (or a rebuild)")),
            ("5.15.0-200.131.27.el8uek.x86_64", Origin::Reworks("Oracle (UEK)")),
            ("5.14.21-150500.55.19-default", Origin::Reworks("SUSE")),
            ("6.7.2-1-default", Origin::Follows("openSUSE")),
            ("5.15.0-91-generic #101-Ubuntu SMP", Origin::Keeps("Ubuntu")),
            ("5.15.0-91-generic", Origin::Keeps("a vendor")),
            ("5.2.2-050202-generic", Origin::Follows("Ubuntu's mainline builds")),
            ("5.2.21-rt15", Origin::Follows("the real-time tree")),
            ("6.1.0-18-amd64 #1 SMP Debian 6.1.76-1", Origin::Follows("Debian")),
            ("6.18.44-fc-v669", Origin::Follows("a vendor")),
            ("6.1.61-85.141.amzn2023.x86_64", Origin::Follows("Amazon")),
        ] {
            assert_eq!(kernel(text).origin, origin, "{text}");
        }
    }
}
