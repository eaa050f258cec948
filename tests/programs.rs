//! Real programs, and programs that the library cannot get into, work as before with the
//! library in `LD_PRELOAD`. Their output and status are compared with a run without it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use object::Endianness;
use object::read::elf::{ElfFile64, ProgramHeader};
use sigward_harness::Run;
use sigward_harness::need::{self, installed};
use sigward_harness::programs::{self, Libc, build, build_with, libcs};
use tempfile::TempDir;

/// Runs without the library and with it, `on` and `auto`: each time the program prints
/// `expected` on stdout, nothing on stderr, and succeeds. `reached`: the library gets into
/// it.
fn works(run: &Run, expected: &str, reached: bool) {
    let run = run.clone().deadline(Duration::from_secs(120));
    let without = run.output().unwrap();
    let seen = (&*without.stdout, &*without.stderr, without.code());
    assert_eq!(seen, (expected, "", 0), "without the library");
    for mode in ["on", "auto"] {
        assert_eq!(run.clone().sigward(mode).output().unwrap(), without, "SIGWARD={mode}");
    }
    let counted = run.sigward("on").env("SIGWARD_STATS", "1").output().unwrap();
    assert_eq!(counted.stderr.contains("duty=act"), reached, "{counted:?}");
}

/// The path of the dynamic linker that the program requests.
fn interpreter(program: &Path) -> Option<String> {
    let bytes = fs::read(program).unwrap();
    let file = ElfFile64::<Endianness>::parse(&*bytes).unwrap();
    let segments = file.elf_program_headers().iter();
    let path = segments.filter_map(|segment| segment.interpreter(file.endian(), &*bytes).unwrap());
    path.map(|path| String::from_utf8(path.to_vec()).unwrap()).next()
}

#[test]
fn a_dynamic_program_of_each_libc() {
    for &libc in libcs() {
        let program = build("altstack_threads", libc).unwrap();
        let linker = interpreter(&program).unwrap();
        assert_eq!(linker.contains("ld-musl"), libc == Libc::Musl, "{linker}");
        works(&Run::new(program).arg("8"), "threads: 8, signals: 8\n", true);
    }
}

#[test]
fn a_static_program() {
    for &libc in libcs() {
        let program = build_with("altstack_mmap", libc, &["-static"]).unwrap();
        assert_eq!(interpreter(&program), None);
        works(&Run::new(program), "on the alternate stack: 1\n", false);
    }
}

fn folder() -> TempDir {
    // Not in /tmp, which may be mounted nosuid.
    let folder = tempfile::Builder::new().prefix("sigward-").tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn a_setuid_program() {
    if !need::root() {
        return;
    }
    for &libc in libcs() {
        let folder = folder();
        let program = folder.path().join("secure");
        programs::copy(&build("secure", libc).unwrap(), &program).unwrap();
        for (mode, secure) in [(0o755, false), (0o4755, true)] {
            fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
            let expected = format!("secure: {}\n", u8::from(secure));
            works(&Run::new(&program).unprivileged(), &expected, !secure);
        }
    }
}

#[test]
fn a_child_with_an_empty_environment() {
    let script = "echo ${LD_PRELOAD-none}; /bin/true && echo ok";
    let run = Run::new("/usr/bin/env").args(["-i", "/bin/sh", "-c", script]);
    works(&run, "none\nok\n", false);
}

#[test]
fn bash() {
    let script = "
        trap 'echo trapped' USR1
        kill -USR1 $$
        (exit 3); echo $?
        for i in 1 2 3; do (exit $i) & wait $!; echo $?; done
        echo piped | cat | tr a-z A-Z
        { bash -c 'kill -TERM $$'; echo $?; } 2>/dev/null
        ulimit -c 0; exec /bin/echo end";
    let expected = "trapped\n3\n1\n2\n3\nPIPED\n143\nend\n";
    works(&Run::new("/bin/bash").args(["-c", script]), expected, true);
}

#[test]
fn python() {
    let Some(python) = need::python() else { return };
    let script = "
import faulthandler, os, signal, subprocess, sys, threading
faulthandler.register(signal.SIGUSR1, file=open(os.devnull, 'w'))
signal.signal(signal.SIGUSR2, lambda *_: print('handled'))
os.kill(os.getpid(), signal.SIGUSR1)
os.kill(os.getpid(), signal.SIGUSR2)
sums = []
threads = [threading.Thread(target=lambda: sums.append(sum(range(1000)))) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(sums))
child = os.fork()
if child == 0: os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
# A crash is reported from the alternate stack.
crash = 'import faulthandler, os, signal; faulthandler.enable(); os.kill(os.getpid(), signal.SIGSEGV)'
crash = subprocess.run([sys.executable, '-c', crash], capture_output=True)
print(crash.returncode, b'Fatal Python error: Segmentation fault' in crash.stderr)";
    let expected = "handled\n7992000\n7\n-11 True\n";
    works(&Run::new(python).args(["-c", script]), expected, true);
}

#[test]
fn perl() {
    let Some(perl) = need::program("perl") else { return };
    let script = r#"
$| = 1; use POSIX;
sigaction(SIGUSR1, POSIX::SigAction->new(sub { print "handled\n" }));
kill USR1 => $$;
my $child = fork // die; exit 5 if !$child;
waitpid $child, 0; print $? >> 8, "\n";
print `echo from a child`; system "exit 4;"; print $? >> 8, "\n";"#;
    works(&Run::new(perl).args(["-e", script]), "handled\n5\nfrom a child\n4\n", true);
}

#[test]
fn git() {
    if need::program("git").is_none() {
        return;
    }
    let script = r#"
        set -e
        export HOME=$(mktemp -d) GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE='1600000000 +0000' GIT_COMMITTER_DATE='1600000000 +0000'
        trap 'rm -r "$HOME"' EXIT
        cd "$HOME"
        git init -q -b main
        git config user.name somebody
        git config user.email somebody@example.org
        for i in 1 2 3; do echo $i >file; git add file; git commit -q -m "number $i"; done
        git gc -q
        git clone -q --no-local . copy
        git -C copy log --format=%s
        git fsck
        git grep -c 3"#;
    let run = Run::new("/bin/sh").args(["-c", script]);
    works(&run, "number 3\nnumber 2\nnumber 1\nfile:1\n", true);
}

/// A runtime that may be missing.
fn runtime(name: &str, package: &str) -> Option<PathBuf> {
    let path = installed(name);
    need::optional(path.is_some(), name, &format!("apt-get install {package}")).then_some(path?)
}

#[test]
fn node() {
    let Some(node) = runtime("node", "nodejs") else { return };
    let script = "
const { Worker } = require('worker_threads');
const alive = setInterval(() => {}, 1000);
process.on('SIGUSR2', () => {
    console.log('handled');
    console.log(require('child_process').execSync('echo from a child').toString().trim());
    clearInterval(alive);
});
const worker = new Worker('console.log([...Array(1e5).keys()].reduce((a, b) => a + b))', { eval: true });
worker.on('exit', () => process.kill(process.pid, 'SIGUSR2'));";
    let run = Run::new(node).args(["-e", script]);
    works(&run, "4999950000\nhandled\nfrom a child\n", true);
}

#[test]
fn java() {
    let Some(java) = runtime("javac", "default-jdk-headless").map(|_| installed("java")) else {
        return;
    };
    let folder = folder();
    let source = folder.path().join("Threads.java");
    // A null pointer raises SIGSEGV, which the JVM turns into an exception.
    let text = r#"
class Threads {
    public static void main(String[] args) throws Exception {
        int[] caught = new int[4];
        Thread[] threads = new Thread[caught.length];
        for (int i = 0; i < threads.length; i++) {
            int me = i;
            threads[i] = new Thread(() -> {
                for (int round = 0; round < 20000; round++) {
                    try {
                        (round % 2 == 0 ? null : "text").length();
                    } catch (NullPointerException e) {
                        caught[me]++;
                    }
                }
            });
            threads[i].start();
        }
        for (Thread thread : threads) thread.join();
        System.gc();
        System.out.println(java.util.Arrays.toString(caught));
        System.out.println(new ProcessBuilder("/bin/sh", "-c", "exit 6").start().waitFor());
    }
}"#;
    fs::write(&source, text).unwrap();
    let run = Run::new(java.unwrap()).arg(&source);
    works(&run, "[10000, 10000, 10000, 10000]\n6\n", true);
}
