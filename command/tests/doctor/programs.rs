//! Programs that do not run, judged by their files.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;

use sigward_harness::programs::copy;
use sigward_harness::{artifacts, need};

use super::*;

const MAIN: &str = "int main(void) { return 0; }\n";

/// The report on a program on an affected kernel: its exit code, standing and reasons.
#[track_caller]
fn judged(program: &Path) -> (i32, String, String, Value) {
    let (code, report) = on(&AFFECTED, program.as_os_str(), "programs");
    let standing = report["standing"].as_str().unwrap().to_owned();
    (code, standing, joined(&report["because"]), report)
}

#[track_caller]
fn not_covered(program: &Path, why: &str) -> Value {
    let (code, standing, because, report) = judged(program);
    assert_eq!((code, &*standing), (1, "not-covered"), "{because}");
    assert!(because.contains(why), "{because}");
    report
}

#[track_caller]
fn partly_covered(program: &Path, why: &str) -> Value {
    let (code, standing, because, report) = judged(program);
    assert_eq!((code, &*standing), (1, "partly-covered"), "{because}");
    assert!(because.contains(why), "{because}");
    report
}

#[track_caller]
fn covered(program: &Path) -> Value {
    let (code, standing, because, report) = judged(program);
    assert_eq!((code, &*standing), (0, "covered"), "{because}");
    report
}

#[test]
fn an_ordinary_program_is_covered() {
    let folder = TempDir::new().unwrap();
    let source = "#include <signal.h>\n#include <sys/wait.h>\n\
                  int main(void) { return sigaltstack(0, 0) + waitpid(0, 0, 0); }\n";
    let program = gcc(folder.path(), "main", source, &[]);
    let report = covered(&program);
    assert_eq!((&report["linkage"], &report["bits"]), (&"dynamic".into(), &64.into()));
    assert_eq!((&report["machine"], &report["libc"]["name"]), (&"x86-64".into(), &"glibc".into()));
    assert_eq!(report["hooked_imports"]["alternate stacks"], serde_json::json!(["sigaltstack"]));
    assert_eq!(report["hooked_imports"]["waits"], serde_json::json!(["waitpid"]));
    assert!(joined(&report["libraries"]).contains("libc.so.6"), "{report:#}");
    let version = Command::new("getconf").arg("GNU_LIBC_VERSION").output().unwrap();
    let version = text(&version.stdout);
    assert_eq!(report["libc"]["version"], *version.trim().trim_start_matches("glibc "));

    // There is nothing to cover on another kernel, and nothing is known on a third one.
    let standing = |options: &[&str]| on(options, program.as_os_str(), "programs");
    assert_eq!(standing(&MENDED).0, 0);
    assert_eq!(standing(&MENDED).1["standing"], "nothing-to-cover");
    assert_eq!(standing(&UNKNOWN).1["standing"], "covered");
    let human = output([OsStr::new("--kernel=5.3.5"), program.as_os_str()]);
    let human = text(&human.stdout);
    assert!(human.contains("uses, alternate stacks: sigaltstack\n"), "{human}");
    // The reasons that follow are about an affected kernel.
    let human = output(MENDED.map(OsStr::new).into_iter().chain([program.as_os_str()]));
    let human = text(&human.stdout);
    assert!(
        human.contains(": nothing to cover on this kernel; on an affected one: covered\n"),
        "{human}"
    );
}

#[test]
fn sections_are_not_needed() {
    let folder = TempDir::new().unwrap();
    let source = "#include <signal.h>\nint main(void) { return sigaltstack(0, 0); }\n";
    let program = gcc(folder.path(), "main", source, &[]);
    let mut bytes = std::fs::read(&program).unwrap();
    // e_shoff, e_shnum and e_shstrndx.
    bytes[40..48].fill(0);
    bytes[60..64].fill(0);
    let bare = folder.path().join("bare");
    std::fs::write(&bare, bytes).unwrap();
    let report = covered(&bare);
    assert_eq!(report["hooked_imports"]["alternate stacks"], serde_json::json!(["sigaltstack"]));
}

#[test]
fn a_static_program_is_not() {
    let folder = TempDir::new().unwrap();
    let program = gcc(folder.path(), "static", MAIN, &["-static"]);
    let report = not_covered(&program, "statically linked, so no loader runs");
    assert_eq!((&report["linkage"], &report["libc"]), (&"static".into(), &Value::Null));
    let program = gcc(folder.path(), "static-pie", MAIN, &["-static-pie"]);
    let report = not_covered(&program, "statically linked (static-pie)");
    assert_eq!(report["linkage"], "static-pie");
    let (code, standing) = on(&UNKNOWN, program.as_os_str(), "programs");
    assert_eq!((code, &standing["standing"]), (2, &"unknown".into()));
}

#[test]
fn a_program_of_musl_is_covered() {
    if !need::required(need::installed("musl-gcc").is_some(), "musl-gcc", "musl-tools") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let report = covered(&compile("musl-gcc", folder.path(), "musl", MAIN, &[]));
    assert_eq!(report["libc"]["name"], "musl");
    // The loader says it when it is started; doctor starts nothing.
    let loader = report["interpreter"].as_str().unwrap();
    let said = Command::new(loader).output().unwrap();
    let version = report["libc"]["version"].as_str().expect("a version");
    assert!(text(&said.stderr).contains(&format!("Version {version}\n")), "{version}");
}

#[test]
fn a_setuid_program_is_covered_for_its_owner_only() {
    if !need::root() {
        return;
    }
    let folder = public_folder();
    let program = gcc(folder.path(), "main", MAIN, &[]);
    for (bits, what) in [(0o4755, "setuid (user 65534)"), (0o2755, "setgid (group 65534)")] {
        chown(&program, Some(NOBODY), Some(NOBODY)).unwrap();
        mode(&program, bits);
        not_covered(&program, what);
        chown(&program, Some(0), Some(0)).unwrap();
        mode(&program, bits);
        partly_covered(&program, "for other callers than you");
    }
    // Without new privileges, the bits mean nothing.
    chown(&program, Some(NOBODY), None).unwrap();
    mode(&program, 0o4755);
    let mut confined = Command::new("setpriv");
    confined.arg("--no-new-privs").arg(cargo_bin!("sigward")).arg("doctor").args(AFFECTED);
    let (code, report) = json_of(confined.arg(&program));
    let report = &report["programs"][0];
    assert_eq!((code, &report["standing"]), (0, &"covered".into()), "{report:#}");
    assert!(joined(&report["notes"]).contains("no_new_privs is set here"), "{report:#}");
}

#[test]
fn file_capabilities_count_for_all_but_root() {
    if !need::root()
        || !need::optional(need::installed("setcap").is_some(), "setcap", "libcap2-bin")
    {
        return;
    }
    let folder = public_folder();
    let program = gcc(folder.path(), "main", MAIN, &[]);
    let given = Command::new("setcap").arg("cap_net_raw+ep").arg(&program).output().unwrap();
    if !need::optional(given.status.success(), "file capabilities", "a file system with them") {
        return;
    }
    partly_covered(&program, "file capabilities");
    let copied = folder.path().join("sigward");
    copy(cargo_bin!("sigward"), &copied).unwrap();
    let mut nobody = Command::new(copied);
    nobody.uid(NOBODY).gid(NOBODY).arg("doctor").args(AFFECTED).arg(&program);
    let (code, report) = json_of(&mut nobody);
    assert_eq!(code, 1);
    assert!(joined(&report["programs"][0]["because"]).contains("file capabilities"));

    // Without new privileges they add nothing, but effective ones have the loader ignore the
    // library all the same.
    for (capabilities, standing) in
        [("cap_net_raw+p", "covered"), ("cap_net_raw+ep", "not-covered")]
    {
        assert!(Command::new("setcap").arg(capabilities).arg(&program).status().unwrap().success());
        let mut confined = Command::new("setpriv");
        confined.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"]);
        confined.arg(folder.path().join("sigward")).arg("doctor").args(AFFECTED).arg(&program);
        let (_, report) = json_of(&mut confined);
        assert_eq!(report["programs"][0]["standing"], standing, "{capabilities}: {report:#}");
    }
}

/// As in `run`: the loader ignores the library in whatever such a caller starts.
#[test]
fn nothing_is_covered_for_a_caller_with_two_user_ids() {
    if !need::root() {
        return;
    }
    let folder = public_folder();
    let program = gcc(folder.path(), "main", MAIN, &[]);
    let copied = folder.path().join("sigward");
    copy(cargo_bin!("sigward"), &copied).unwrap();
    let mut torn = Command::new("setpriv");
    torn.args(["--ruid", "65534", "--clear-groups"]).arg(copied);
    let (_, report) = json_of(torn.arg("doctor").args(AFFECTED).arg(&program));
    assert_eq!(report["programs"][0]["standing"], "not-covered", "{report:#}");
    let because = joined(&report["programs"][0]["because"]);
    assert!(because.contains("the real user id is 65534, the effective one 0"), "{because}");
}

#[test]
fn a_static_32_bit_program_is_not_covered() {
    let folder = TempDir::new().unwrap();
    let source = "void _start(void) { for (;;) ; }\n";
    let options = ["-m32", "-nostdlib", "-static", "-fno-pic", "-no-pie"];
    let program = gcc(folder.path(), "narrow", source, &options);
    let report = not_covered(&program, "statically linked");
    assert_eq!((&report["bits"], &report["machine"]), (&32.into(), &"x86".into()));
    // The class of another machine's file, with the rest as it was.
    let mut bytes = std::fs::read("/bin/true").unwrap();
    bytes[18..20].copy_from_slice(&183_u16.to_le_bytes());
    let foreign = folder.path().join("foreign");
    std::fs::write(&foreign, bytes).unwrap();
    assert_eq!(not_covered(&foreign, "for ARM64")["machine"], "ARM64");
}

/// What Go's linker puts into a program's data, for version go1.99.
const GO: &str = "__attribute__((aligned(16), used)) static char info[64] =\n\
                  \"\\xff Go buildinf:\\x08\\x02\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\" \"\\x06go1.99\";\n\
                  int main(void) { return info[0]; }\n";

#[test]
fn a_program_of_go_is_named() {
    let folder = TempDir::new().unwrap();
    let report = partly_covered(&gcc(folder.path(), "cgo", GO, &[]), "go1.99 makes its own");
    assert_eq!(report["go"], "go1.99");
    let program = gcc(folder.path(), "static-go", GO, &["-static"]);
    assert_eq!(not_covered(&program, "statically linked")["go"], "go1.99");
    let human = text(&output([program.as_os_str()]).stdout);
    assert!(human.contains("built by go1.99"), "{human}");
}

#[test]
fn a_genuine_program_of_go_is_named() {
    let Some(go) = need::installed("go") else {
        let _ = need::optional(false, "Go", "apt-get install golang-go");
        return;
    };
    let folder = TempDir::new().unwrap();
    let source = folder.path().join("main.go");
    std::fs::write(&source, "package main\nfunc main() {}\n").unwrap();
    let program = folder.path().join("main");
    let mut build = Command::new(&go);
    build
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-p=2")
        .env("GOCACHE", folder.path().join("cache"));
    let built = build.arg("build").arg("-o").arg(&program).arg(&source).output().unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));
    let report = not_covered(&program, "statically linked");
    let version = Command::new(&go).args(["env", "GOVERSION"]).output().unwrap();
    assert_eq!(report["go"], *text(&version.stdout).trim());
    let calls = &report["direct_calls"][program.to_str().unwrap()];
    assert!(joined(calls).contains("sigaltstack"), "{report:#}");
}

#[test]
fn a_program_that_makes_system_calls_itself_is_partly_covered() {
    let folder = TempDir::new().unwrap();
    let source = "int main(void) {\n\
                      long result;\n\
                      __asm__ volatile(\"mov $131, %%eax; syscall\" : \"=a\"(result) : \"D\"(0), \"S\"(0)\n\
                                       : \"rcx\", \"r11\", \"memory\");\n\
                      return result;\n\
                  }\n";
    let report =
        partly_covered(&gcc(folder.path(), "raw", source, &[]), "by the syscall instruction");
    assert!(joined(&report["because"]).contains("sigaltstack"), "{report:#}");
}

#[test]
fn the_needed_libraries_are_looked_at() {
    let folder = TempDir::new().unwrap();
    let source = "#include <signal.h>\nint inner(void) { return sigaltstack(0, 0); }\n";
    gcc(folder.path(), "libinner.so", source, &["-shared", "-fPIC"]);
    let source = "int inner(void);\nint outer(void) { return inner(); }\n";
    let here = ["-L.", "-Wl,-rpath,$ORIGIN"];
    let options = [&here[..], &["-shared", "-fPIC", "-l:libinner.so"]].concat();
    gcc(folder.path(), "libouter.so", source, &options);
    let source = "int outer(void);\nint main(void) { return outer(); }\n";
    let program = gcc(folder.path(), "main", source, &[&here[..], &["-l:libouter.so"]].concat());
    let report = covered(&program);
    assert_eq!(report["hooked_imports"]["alternate stacks"], serde_json::json!(["sigaltstack"]));
    assert_eq!(report["missing_libraries"], serde_json::json!([]));
    std::fs::remove_file(folder.path().join("libinner.so")).unwrap();
    let report = covered(&program);
    assert_eq!(report["missing_libraries"], serde_json::json!(["libinner.so"]));
    assert!(joined(&report["notes"]).contains("libinner.so was not found"), "{report:#}");
}

#[test]
fn odd_search_paths_are_told() {
    let folder = TempDir::new().unwrap();
    let shared = folder.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    mode(&shared, 0o777);
    let path = format!("-Wl,-rpath,here:{}:/usr/lib", shared.display());
    let report = covered(&gcc(folder.path(), "main", MAIN, &[&path]));
    let odd = joined(&report["odd_search_paths"]);
    assert!(odd.contains("here: relative") && odd.contains("every user may replace"), "{odd}");
    assert_eq!(odd.lines().count(), 2, "{odd}");
}

#[test]
fn a_sanitizer_and_an_own_sigaltstack_are_told() {
    let folder = TempDir::new().unwrap();
    let source = "void __asan_init(void) { }\nint main(void) { return 0; }\n";
    let program = gcc(folder.path(), "asan", source, &["-rdynamic"]);
    assert_eq!(not_covered(&program, "a sanitizer is in it")["sanitizer"], "__asan_init");
    let source = "int sigaltstack(void) { return 0; }\nint main(void) { return 0; }\n";
    not_covered(
        &gcc(folder.path(), "own", source, &["-rdynamic"]),
        "it defines sigaltstack itself",
    );
}

#[test]
fn a_program_without_its_loader_is_not_covered() {
    let folder = TempDir::new().unwrap();
    let loader = ["-Wl,--dynamic-linker=/no/such/ld-linux.so.2"];
    let program = gcc(folder.path(), "main", MAIN, &loader);
    not_covered(&program, "its loader /no/such/ld-linux.so.2 cannot be started: not found");
    let program = gcc(folder.path(), "other", MAIN, &["-Wl,--dynamic-linker=/bin/true"]);
    not_covered(&program, "neither glibc's nor musl's");
}

#[test]
fn a_script_is_its_interpreter() {
    let folder = TempDir::new().unwrap();
    let inner = folder.path().join("inner");
    let program = gcc(folder.path(), "static", MAIN, &["-static"]);
    std::fs::write(&inner, format!("#! {} -x\n", program.display())).unwrap();
    let outer = folder.path().join("outer");
    std::fs::write(&outer, format!("#!{}\n", inner.display())).unwrap();
    let report = not_covered(&outer, "statically linked");
    assert_eq!(report["path"], program.to_str().unwrap());
    assert_eq!(joined(&report["scripts"]).lines().count(), 2, "{report:#}");
    // The shell runs what has no first line of that kind.
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "echo hello\n").unwrap();
    assert!(covered(&plain)["path"].as_str().unwrap().ends_with("/sh"));
}

#[test]
fn the_table_of_hooked_functions_is_the_librarys() {
    let groups = include_str!("../../src/inspect/hooked.rs");
    let quoted = groups.split('"').skip(1).step_by(2);
    let listed: std::collections::BTreeSet<String> = quoted
        .filter(|name| {
            ![
                "alternate stacks",
                "handlers",
                "threads",
                "forks",
                "memory",
                "waits",
                "seccomp",
                "any call by number",
            ]
            .contains(name)
        })
        .map(str::to_owned)
        .collect();
    let exported = artifacts::exports(artifacts::preload()).unwrap();
    assert_eq!(listed, exported);
}
