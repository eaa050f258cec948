use proptest::prelude::*;

use super::*;
use crate::quirks::{Confidence, Version};
use Standing::{Affected, NotAffected, Unknown};

/// One kernel: `uname -r`, `uname -v`, `/proc/version`,
/// `/proc/version_signature` (empty if it does not exist), and the expected
/// result.
struct Kernel {
    name: &'static str,
    release: &'static str,
    version: &'static str,
    proc_version: &'static str,
    signature: &'static str,
    standing: Standing,
    acts: bool,
    preempt: bool,
}

fn texts(kernel: &Kernel) -> KernelTexts<'static> {
    let given = |text: &'static str| (!text.is_empty()).then_some(text.as_bytes());
    KernelTexts {
        sysname: b"Linux",
        release: kernel.release.as_bytes(),
        version: kernel.version.as_bytes(),
        machine: b"x86_64",
        proc_version: given(kernel.proc_version),
        version_signature: given(kernel.signature),
        cpu: CpuTraits::MODERN,
    }
}

macro_rules! kernels {
    ($($name:literal, $release:expr, $version:expr, $proc:expr, $signature:expr
        => $standing:ident, $acts:ident, $preempt:ident;)*) => {
        &[$(Kernel {
            name: $name, release: $release, version: $version, proc_version: $proc,
            signature: $signature, standing: $standing,
            acts: acts!($acts), preempt: preempt!($preempt),
        }),*]
    };
}
macro_rules! acts {
    (acts) => {
        true
    };
    (idle) => {
        false
    };
}
macro_rules! preempt {
    (preempt) => {
        true
    };
    (not) => {
        false
    };
}

const GCC8: &str = "(root@b) (gcc version 8.3.0 (Debian 8.3.0-6)) #1 SMP";
const GCC9: &str = "(root@b) (gcc version 9.2.1 20190827 (Red Hat 9.2.1-1) (GCC)) #1 SMP";

// In rows marked `seen`, `uname` or `/proc/version` is from a public bug
// report. What the report left out, and the other rows, follow the vendor's
// pattern.
static KERNELS: &[Kernel] = kernels![
    // mainline and stable
    "5.1, before the defect", "5.1.21", "#1 SMP Sun Jul 28", "", "" => NotAffected, idle, not;
    "5.2.0", "5.2.0", "#1 SMP", GCC9, "" => Affected, acts, not;
    "last 5.2", "5.2.21", "#1 SMP Fri Oct 11", GCC9, "" => Affected, acts, not;
    "5.3.0", "5.3.0", "#1 SMP", GCC9, "" => Affected, acts, not;
    "5.3.14, last bad", "5.3.14", "#1 SMP", GCC9, "" => Affected, acts, not;
    "5.3.15, first good", "5.3.15", "#1 SMP", "", "" => NotAffected, idle, not;
    "5.4.0", "5.4.0", "#1 SMP", GCC9, "" => Affected, acts, not;
    "5.4 without patch level", "5.4", "#1 SMP", GCC9, "" => Affected, acts, not;
    "5.4.1, last bad", "5.4.1", "#1 SMP", GCC9, "" => Affected, acts, not;
    "5.4.2, first good", "5.4.2", "#1 SMP", "", "" => NotAffected, idle, not;
    "5.4.299", "5.4.299", "#1 SMP", "", "" => NotAffected, idle, not;
    "5.5-rc1", "5.5.0-rc1", "#1 SMP", "", "" => NotAffected, idle, not;
    "6.18, this machine", "6.18.44-fc-v669", "#1 SMP PREEMPT_DYNAMIC @0",
        "Linux version 6.18.44-fc-v669 (builder@sandboxing) (gcc (GCC) 15.3.0, GNU ld (GNU Binutils) 2.46) #1 SMP PREEMPT_DYNAMIC @0", ""
        => NotAffected, idle, preempt;
    // release candidates and snapshots
    "5.2-rc1 by GCC 8, seen", "5.2.0-rc1-00165-g54dee406374c", "#1 SMP Thu May 23 15:17:40 ACST 2019",
        "Linux version 5.2.0-rc1-00165-g54dee406374c (joel@voyager) (gcc version 8.3.0 (Debian 8.3.0-2)) #1 SMP Thu May 23 15:17:40 ACST 2019", ""
        => NotAffected, idle, not;
    "5.3-rc5 by GCC 9", "5.3.0-rc5", "#1 SMP", GCC9, "" => Affected, acts, not;
    "5.4.0+", "5.4.0+", "#3 SMP", GCC9, "" => Affected, acts, not;
    // compilers
    "GCC 4.8, seen", "5.2.0-rc5-next-20190620-autotest", "#1 SMP Mon Jun 24 06:38:12 PDT 2019",
        "Linux version 5.2.0-rc5-next-20190620-autotest (root@x) (gcc version 4.8.5 20150623 (Red Hat 4.8.5-36) (GCC)) #1 SMP Mon Jun 24 06:38:12 PDT 2019", ""
        => NotAffected, idle, not;
    "GCC 7, seen", "5.2.0", "#2 SMP Sat Jul 20 22:47:13 CST 2019",
        "Linux version 5.2.0 (ww9210@ww9210-PowerEdge-R720xd) (gcc version 7.4.0 (Ubuntu 7.4.0-1ubuntu1~18.04)) #2 SMP Sat Jul 20 22:47:13 CST 2019", ""
        => NotAffected, idle, not;
    "GCC 8", "5.3.9", "#1 SMP", GCC8, "" => NotAffected, idle, not;
    "GCC 12, new style", "5.3.1", "#1 SMP",
        "Linux version 5.3.1 (me@gcc-box) (gcc (Debian 12.2.0-14+deb12u1) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #1 SMP", ""
        => Affected, acts, not;
    "GCC 10, cross name", "5.3.1", "#1 SMP",
        "Linux version 5.3.1 (me@box) (x86_64-linux-gnu-gcc-10 (Debian 10.2.1-6) 10.2.1 20210110, GNU ld (GNU Binutils) 2.35) #1 SMP", ""
        => Affected, acts, not;
    "GCC 8, new style", "5.4.0", "#1 SMP",
        "Linux version 5.4.0 (me@box) (gcc (Debian 8.3.0-6) 8.3.0, GNU ld (GNU Binutils) 2.31) #1 SMP", ""
        => NotAffected, idle, not;
    "clang, old style", "5.3.10", "#1 SMP",
        "Linux version 5.3.10 (me@box) (clang version 9.0.0 (tags/RELEASE_900/final)) #1 SMP", ""
        => NotAffected, idle, not;
    "clang, new style", "5.4.1", "#1 SMP",
        "Linux version 5.4.1 (me@box) (Debian clang version 11.0.1-2, GNU ld (GNU Binutils) 2.35) #1 SMP", ""
        => NotAffected, idle, not;
    "compiler unknown", "5.3.10", "#1 SMP", "", "" => Unknown, acts, not;
    "/proc/version cut short", "5.3.10", "#1 SMP", "Linux version 5.3.10 (me@box) (gcc ver", ""
        => Unknown, acts, not;
    // Ubuntu
    "Ubuntu 19.10 as released", "5.3.0-18-generic", "#19-Ubuntu SMP Tue Oct 8 20:14:06 UTC 2019",
        "Linux version 5.3.0-18-generic (buildd@lcy01-amd64-027) (gcc version 9.2.1 20190909 (Ubuntu 9.2.1-8ubuntu1)) #19-Ubuntu SMP Tue Oct 8 20:14:06 UTC 2019",
        "Ubuntu 5.3.0-18.19-generic 5.3.1" => Affected, acts, not;
    "Ubuntu 19.10 fixed, golang/go#37436, seen", "5.3.0-40-generic", "#32-Ubuntu SMP Fri Jan 31 20:24:34 UTC 2020",
        "Linux version 5.3.0-40-generic (buildd@x) (gcc version 9.2.1 20191008 (Ubuntu 9.2.1-9ubuntu2)) #32-Ubuntu SMP Fri Jan 31 20:24:34 UTC 2020",
        "Ubuntu 5.3.0-40.32-generic 5.3.18" => NotAffected, idle, not;
    "the same without /proc: the table of builds", "5.3.0-40-generic", "#32-Ubuntu SMP Fri Jan 31 20:24:34 UTC 2020",
        "", "" => NotAffected, idle, not;
    "Ubuntu before the listed build, without /proc", "5.3.0-26-generic", "#28-Ubuntu SMP Wed Dec 18 05:37:46 UTC 2019",
        "", "" => Unknown, acts, not;
    "Ubuntu 18.04 HWE by GCC 7, seen", "5.3.0-28-generic", "#30~18.04.1-Ubuntu SMP Fri Jan 17 06:14:09 UTC 2020",
        "Linux version 5.3.0-28-generic (buildd@lcy01-amd64-009) (gcc version 7.4.0 (Ubuntu 7.4.0-1ubuntu1~18.04.1)) #30~18.04.1-Ubuntu SMP Fri Jan 17 06:14:09 UTC 2020",
        "Ubuntu 5.3.0-28.30~18.04.1-generic 5.3.13" => NotAffected, idle, not;
    "Ubuntu 20.04, seen", "5.4.0-52-generic", "#57-Ubuntu SMP Thu Oct 15 10:57:00 UTC 2020",
        "Linux version 5.4.0-52-generic (buildd@lgw01-amd64-060) (gcc version 9.3.0 (Ubuntu 9.3.0-17ubuntu1~20.04)) #57-Ubuntu SMP Thu Oct 15 10:57:00 UTC 2020",
        "Ubuntu 5.4.0-52.57-generic 5.4.65" => NotAffected, idle, not;
    "Ubuntu 20.04 on AWS, seen", "5.4.0-1029-aws", "#30-Ubuntu SMP Tue Oct 20 10:06:38 UTC 2020",
        "Linux version 5.4.0-1029-aws (buildd@lcy01-amd64-022) (gcc version 9.3.0 (Ubuntu 9.3.0-17ubuntu1~20.04)) #30-Ubuntu SMP Tue Oct 20 10:06:38 UTC 2020",
        "Ubuntu 5.4.0-1029.30-aws 5.4.65" => NotAffected, idle, not;
    "Ubuntu low latency preempts", "5.3.0-18-lowlatency", "#19-Ubuntu SMP PREEMPT Tue Oct 8 20:45:18 UTC 2019",
        "Linux version 5.3.0-18-lowlatency (buildd@x) (gcc version 9.2.1 20190909 (Ubuntu 9.2.1-8ubuntu1)) #19-Ubuntu SMP PREEMPT Tue Oct 8 20:45:18 UTC 2019",
        "Ubuntu 5.3.0-18.19-lowlatency 5.3.1" => Affected, acts, preempt;
    "Ubuntu's mainline builds, seen", "5.2.2-050202-generic", "#201907231250 SMP Tue Jul 23 12:53:21 UTC 2019",
        "Linux version 5.2.2-050202-generic (kernel@kathleen) (gcc version 9.1.0 (Ubuntu 9.1.0-9ubuntu2)) #201907231250 SMP Tue Jul 23 12:53:21 UTC 2019", ""
        => Affected, acts, not;
    "signature without a version", "5.4.0-52-generic", "#57-Ubuntu SMP", GCC9, "Ubuntu" => NotAffected, idle, not;
    // Debian and its derivatives
    "Debian 5.3.9, seen", "5.3.0-2-amd64", "#1 SMP Debian 5.3.9-3 (2019-11-19)",
        "Linux version 5.3.0-2-amd64 (debian-kernel@lists.debian.org) (gcc version 9.2.1 20191109 (Debian 9.2.1-19)) #1 SMP Debian 5.3.9-3 (2019-11-19)", ""
        => Affected, acts, not;
    "Debian 5.3.15, seen", "5.3.0-3-amd64", "#1 SMP Debian 5.3.15-1 (2019-12-07)",
        "Linux version 5.3.0-3-amd64 (debian-kernel@lists.debian.org) (gcc version 9.2.1 20191130 (Debian 9.2.1-21)) #1 SMP Debian 5.3.15-1 (2019-12-07)", ""
        => NotAffected, idle, not;
    "Debian buster backport by GCC 8", "5.3.0-0.bpo.2-amd64", "#1 SMP Debian 5.3.9-2~bpo10+1 (2019-11-13)",
        "Linux version 5.3.0-0.bpo.2-amd64 (debian-kernel@lists.debian.org) (gcc version 8.3.0 (Debian 8.3.0-6)) #1 SMP Debian 5.3.9-2~bpo10+1 (2019-11-13)", ""
        => NotAffected, idle, not;
    "Debian 5.4.8 backport", "5.4.0-0.bpo.2-amd64", "#1 SMP Debian 5.4.8-1~bpo10+1 (2020-01-07)", "", ""
        => NotAffected, idle, not;
    "Kali, seen", "5.3.0-kali2-amd64", "#1 SMP Debian 5.3.9-3kali1 (2019-11-20)",
        "Linux version 5.3.0-kali2-amd64 (devel@kali.org) (gcc version 9.2.1 20191109 (Debian 9.2.1-19)) #1 SMP Debian 5.3.9-3kali1 (2019-11-20)", ""
        => Affected, acts, not;
    "Debian real-time", "5.2.0-3-rt-amd64", "#1 SMP PREEMPT RT Debian 5.2.17-1 (2019-09-26)",
        "Linux version 5.2.0-3-rt-amd64 (debian-kernel@lists.debian.org) (gcc version 8.3.0 (Debian 8.3.0-22)) #1 SMP PREEMPT RT Debian 5.2.17-1 (2019-09-26)", ""
        => NotAffected, idle, preempt;
    "Debian 12", "6.1.0-18-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)", "", ""
        => NotAffected, idle, preempt;
    "Proxmox by GCC 8", "5.3.10-1-pve", "#1 SMP PVE 5.3.10-1 (Thu, 14 Nov 2019 10:43:13 +0100)",
        "Linux version 5.3.10-1-pve (build@pve) (gcc version 8.3.0 (Debian 8.3.0-6)) #1 SMP PVE 5.3.10-1 (Thu, 14 Nov 2019 10:43:13 +0100)", ""
        => NotAffected, idle, not;
    // others
    "Fedora 30, seen", "5.3.5-200.fc30.x86_64", "#1 SMP Tue Oct 8 12:41:15 UTC 2019",
        "Linux version 5.3.5-200.fc30.x86_64 (mockbuild@bkernel04.phx2.fedoraproject.org) (gcc version 9.2.1 20190827 (Red Hat 9.2.1-1) (GCC)) #1 SMP Tue Oct 8 12:41:15 UTC 2019", ""
        => Affected, acts, not;
    "Fedora 31 fixed", "5.3.15-300.fc31.x86_64", "#1 SMP Thu Dec 5 15:04:01 UTC 2019", "", "" => NotAffected, idle, not;
    "openSUSE Tumbleweed", "5.3.12-2-default", "#1 SMP Thu Nov 21 09:36:57 UTC 2019 (9b0ad4f)",
        "Linux version 5.3.12-2-default (geeko@buildhost) (gcc version 9.2.1 20190903 [gcc-9-branch revision 275330] (SUSE Linux)) #1 SMP Thu Nov 21 09:36:57 UTC 2019 (9b0ad4f)", ""
        => Affected, acts, not;
    "openSUSE Leap 15.2", "5.3.18-lp152.19-default", "#1 SMP Tue Jun 9 20:59:24 UTC 2020 (960cb00)", "", "" => NotAffected, idle, not;
    "Arch", "5.4.0-arch1-1", "#1 SMP PREEMPT Tue, 26 Nov 2019 09:29:35 +0000",
        "Linux version 5.4.0-arch1-1 (linux@archlinux) (gcc version 9.2.0 (GCC)) #1 SMP PREEMPT Tue, 26 Nov 2019 09:29:35 +0000", ""
        => Affected, acts, preempt;
    "Amazon Linux 2", "5.4.20-12.75.amzn2.x86_64", "#1 SMP Wed Mar 4 19:46:49 UTC 2020", "", "" => NotAffected, idle, not;
    "RHEL 8", "4.18.0-193.el8.x86_64", "#1 SMP Fri Mar 27 14:35:58 UTC 2020", "", "" => NotAffected, idle, not;
    "WSL2", "4.19.84-microsoft-standard", "#1 SMP Wed Nov 13 11:44:37 UTC 2019", "", "" => NotAffected, idle, not;
    "WSL2 today", "5.15.153.1-microsoft-standard-WSL2", "#1 SMP Fri Mar 29 23:14:13 UTC 2024", "", "" => NotAffected, idle, not;
    "real-time 5.2", "5.2.21-rt15", "#1 SMP PREEMPT_RT", GCC9, "" => Affected, acts, preempt;
    "voluntary preemption", "5.3.1", "#1 SMP PREEMPT_VOLUNTARY", GCC9, "" => Affected, acts, not;
    "gVisor, seen", "4.4.0", "#1 SMP Sun Jan 10 15:06:54 PST 2016", "", "" => NotAffected, idle, not;
    "gVisor today, seen", "4.19.0-gvisor", "#1 SMP Sun Jan 10 15:06:54 PST 2016", "", "" => NotAffected, idle, not;
    // setarch --uname-2.6
    "5.3 shown as 2.6.63", "2.6.63-18-generic", "#19-Ubuntu SMP Tue Oct 8 20:14:06 UTC 2019",
        "Linux version 5.3.0-18-generic (buildd@x) (gcc version 9.2.1 20190909 (Ubuntu 9.2.1-8ubuntu1)) #19-Ubuntu SMP",
        "Ubuntu 5.3.0-18.19-generic 5.3.1" => Affected, acts, not;
    "6.4 shown as 2.6.64", "2.6.64-amd64", "#1 SMP", "Linux version 6.4.0 (a@b) (gcc version 12.2.0 (GCC)) #1 SMP", ""
        => NotAffected, idle, not;
    "5.3 Debian shown as 2.6.63, without /proc", "2.6.63-3-amd64", "#1 SMP Debian 5.3.15-1 (2019-12-07)", "", ""
        => NotAffected, idle, not;
    "2.6.63 and nothing else", "2.6.63", "#1 SMP", "", "" => Unknown, acts, not;
    "4.19 shown as 2.6.79", "2.6.79-9-amd64", "#1 SMP", "", "" => NotAffected, idle, not;
    "a true 2.6.32", "2.6.32-754.el6.x86_64", "#1 SMP", "", "" => NotAffected, idle, not;
    // not a kernel at all
    "empty", "", "", "", "" => Unknown, idle, not;
    "garbage", "\u{fffd}..-", "(((", ")))", "5" => Unknown, idle, not;
    "a lone number", "5", "#1", "", "" => Unknown, idle, not;
    "a number that overflows", "99999999999999999999.3.1", "#1", "", "" => NotAffected, idle, not;
];

#[test]
fn table_of_kernels() {
    assert!(KERNELS.len() >= 40);
    for kernel in KERNELS {
        let verdict = judge(&texts(kernel));
        let context = (kernel.name, verdict);
        assert_eq!(verdict.standing, kernel.standing, "{context:?}");
        assert_eq!(verdict.acts(), kernel.acts, "{context:?}");
        assert_eq!(verdict.preempt, kernel.preempt, "{context:?}");
        assert!(verdict.argument.iter().next().is_some(), "{context:?}");
        for step in verdict.argument.iter() {
            assert!(!step.to_string().is_empty());
        }
    }
}

/// The table above must be able to fail: each answer occurs, and the proc texts
/// make a difference.
#[test]
fn the_table_holds_every_answer() {
    for standing in [Affected, NotAffected, Unknown] {
        assert!(KERNELS.iter().any(|kernel| kernel.standing == standing));
    }
    let changed = KERNELS.iter().filter(|kernel| {
        let full = texts(kernel);
        let bare = KernelTexts { proc_version: None, version_signature: None, ..full };
        judge(&full).standing != judge(&bare).standing
    });
    assert!(changed.count() > 10);
}

fn named(name: &str) -> &'static Kernel {
    KERNELS.iter().find(|kernel| kernel.name == name).expect("a row of this name")
}

#[test]
fn for_a_preemptible_affected_kernel_the_risk_that_remains_is_reported() {
    let verdict = judge(&texts(named("Arch")));
    assert!(verdict.only_reduces());
    assert!(verdict.argument.contains(Step::Preemptible));
    let shown: Vec<String> = verdict.argument.iter().map(|step| step.to_string()).collect();
    assert!(shown.join("\n").contains("upgrade the kernel"), "{shown:?}");

    let healthy = judge(&texts(named("Debian 12")));
    assert!(healthy.preempt && !healthy.only_reduces());
    assert!(!healthy.argument.contains(Step::Preemptible));
}

#[test]
fn upstream_version_names_its_text() {
    for (name, version, text) in [
        ("Ubuntu 19.10 as released", Version::new(5, 3, 1), Text::VersionSignature),
        ("Debian 5.3.9, seen", Version::new(5, 3, 9), Text::UnameVersion),
        ("5.3.0", Version::new(5, 3, 0), Text::UnameRelease),
        ("6.4 shown as 2.6.64", Version::new(6, 4, 0), Text::ProcVersion),
    ] {
        assert_eq!(judge(&texts(named(name))).upstream, Some((version, text)), "{name}");
    }
}

#[test]
fn vendor_builds_are_less_sure_than_plain_ones() {
    assert_eq!(judge(&texts(named("5.3.14, last bad"))).confidence, Confidence::High);
    assert_eq!(judge(&texts(named("Fedora 30, seen"))).confidence, Confidence::Medium);
}

#[test]
fn gvisor_is_distinguished_from_a_true_4_4() {
    assert!(judge(&texts(named("gVisor, seen"))).gvisor);
    assert!(judge(&texts(named("gVisor today, seen"))).gvisor);
    let true_4_4 = KernelTexts {
        version: b"#1 SMP Mon Jan 11 15:06:54 PST 2016",
        ..texts(named("gVisor, seen"))
    };
    assert!(!judge(&true_4_4).gvisor);
}

#[test]
fn other_processors_and_systems() {
    let affected = texts(named("5.3.0"));
    assert_eq!(judge(&KernelTexts { machine: b"aarch64", ..affected }).standing, NotAffected);
    assert_eq!(judge(&KernelTexts { machine: b"i686", ..affected }).standing, Affected);
    assert_eq!(judge(&KernelTexts { machine: b"", ..affected }).standing, Affected);
    assert_eq!(judge(&KernelTexts { sysname: b"Plan9", ..affected }).standing, Unknown);
    assert!(!judge(&KernelTexts { sysname: b"", ..affected }).acts());
    let no_avx = CpuTraits { avx: false, ..CpuTraits::MODERN };
    let verdict = judge(&KernelTexts { cpu: no_avx, ..affected });
    assert!(verdict.acts() && verdict.argument.contains(Step::NoAvx));
}

#[test]
fn freebsd_releases() {
    let texts = |release, machine| KernelTexts {
        sysname: b"FreeBSD",
        release,
        version: b"FreeBSD GENERIC",
        machine,
        proc_version: None,
        version_signature: None,
        cpu: CpuTraits::MODERN,
    };
    for (release, standing) in [
        (&b"8.3-RELEASE"[..], Affected),
        (b"9.2-RELEASE-p3", Affected),
        (b"9.3-RELEASE", NotAffected),
        (b"10.0-RELEASE", NotAffected),
        (b"14.1-RELEASE-p2", NotAffected),
        (b"6.4-STABLE", Unknown),
    ] {
        let verdict = judge(&texts(release, b"amd64"));
        assert_eq!(verdict.standing, standing, "{release:?}");
        assert_eq!(verdict.quirk.map(|quirk| quirk.id), Some("freebsd-restart-r10"));
    }
    assert_eq!(judge(&texts(b"9.2-RELEASE", b"i386")).standing, NotAffected);
}

#[test]
fn proc_is_needed_only_where_a_range_could_match() {
    for release in ["5.2.0", "5.3.0-40-generic", "5.4.0-arch1-1", "5.4.1", "2.6.63-1-amd64"] {
        assert!(needs_proc(release.as_bytes()), "{release}");
    }
    for release in ["", "6.18.44-fc-v669", "5.3.15", "5.4.2", "5.1.9", "2.6.32-754", "2.6.78", "x"]
    {
        assert!(!needs_proc(release.as_bytes()), "{release}");
    }
}

#[test]
fn ten_kilobytes_of_anything() {
    let nasty: [&[u8]; 7] =
        [b"gcc", b"(", b"gcc(", b"5.3.", b"9", b"Debian ", b"Linux version 5.3.0 (gcc version "];
    for piece in nasty {
        let long: Vec<u8> = piece.iter().copied().cycle().take(10 * 1024).collect();
        for release in [&b"5.3.0"[..], b"2.6.63", &long] {
            let verdict = judge(&KernelTexts {
                sysname: b"Linux",
                release,
                version: &long,
                machine: b"x86_64",
                proc_version: Some(&long),
                version_signature: Some(&long),
                cpu: CpuTraits::MODERN,
            });
            assert!(verdict.argument.iter().next().is_some());
        }
    }
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"5.".to_vec()),
        Just(b"2.6.".to_vec()),
        Just(b"3.0-40-generic".to_vec()),
        Just(b"Debian 5.3.".to_vec()),
        Just(b"Ubuntu ".to_vec()),
        Just(b"Linux version 5.3.".to_vec()),
        Just(b"gcc version 9".to_vec()),
        Just(b"(gcc-9 (x) ".to_vec()),
        Just(b"PREEMPT ".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(word, 0..8).prop_map(|words| words.concat())
}

fn stable(major: u32, minor: u32, patch: u32, gcc: u32) -> Verdict {
    let release = format!("{major}.{minor}.{patch}");
    let proc_version = format!("Linux version {release} (a@b) (gcc version {gcc}.1.0 (GCC)) #1");
    judge(&KernelTexts {
        sysname: b"Linux",
        release: release.as_bytes(),
        version: b"#1 SMP",
        machine: b"x86_64",
        proc_version: Some(proc_version.as_bytes()),
        version_signature: None,
        cpu: CpuTraits::MODERN,
    })
}

proptest! {
    /// Any texts give a verdict, and files are never requested for nothing: if
    /// `needs_proc` is false, they change nothing and the library does not act.
    #[test]
    fn any_texts_give_a_verdict(
        release in any_text(), version in any_text(), machine in any_text(),
        proc_version in proptest::option::of(any_text()),
        version_signature in proptest::option::of(any_text()),
        x86 in any::<bool>(),
    ) {
        let full = KernelTexts {
            sysname: b"Linux",
            release: &release,
            version: &version,
            machine: if x86 { b"x86_64" } else { &machine },
            proc_version: proc_version.as_deref(),
            version_signature: version_signature.as_deref(),
            cpu: CpuTraits::MODERN,
        };
        let verdict = judge(&full);
        prop_assert!(verdict.argument.iter().next().is_some());
        if !needs_proc(&release) {
            prop_assert!(!verdict.acts());
            let bare = judge(&KernelTexts { proc_version: None, version_signature: None, ..full });
            prop_assert!(bare.acts() == verdict.acts());
        }
    }

    /// Within a series a later patch level is never worse, and a later GCC is
    /// never better.
    #[test]
    fn later_patches_help_and_later_compilers_do_not(
        minor in 0_u32..8, patch in 0_u32..30, step in 1_u32..10, gcc in 4_u32..16, newer in 1_u32..6,
    ) {
        let here = stable(5, minor, patch, gcc);
        prop_assert!(here.acts() || !stable(5, minor, patch + step, gcc).acts());
        prop_assert!(!here.acts() || stable(5, minor, patch, gcc + newer).acts());
    }

    /// A fixed upstream version in the signature always means not affected.
    #[test]
    fn a_fixed_signature_acquits(version in any_text(), proc_version in any_text()) {
        let verdict = judge(&KernelTexts {
            sysname: b"Linux",
            release: b"5.3.0-40-generic",
            version: &version,
            machine: b"x86_64",
            proc_version: Some(&proc_version),
            version_signature: Some(b"Ubuntu 5.3.0-40.32-generic 5.3.18"),
            cpu: CpuTraits::MODERN,
        });
        prop_assert!(!verdict.acts());
    }
}
