// A program that confines itself. The argument says how:
// "status"  not at all
// "prctl"   by prctl, to the calls listed below: any other call is fatal
// "seccomp" the same by seccomp(2), for which libc has no function
// "proof"   the same; then it makes a call that is not listed
// "asks"    it makes failing calls by which programs find out what the kernel supports
// "refused" it tries to, with a filter that the kernel reads and refuses
// "vfork"   a vfork child confines itself and ends
// With a second argument, "locked", it prints to stderr what is locked.
// compared: elsewhere
#include "common.h"
#include <sys/prctl.h>

// From <linux/filter.h> and <linux/seccomp.h>, which musl-gcc does not find.
struct instruction {
    uint16_t code;
    uint8_t if_true, if_false;
    uint32_t value;
};
#define LOAD_NUMBER {0x20, 0, 0, 0}
#define RETURN(action) {0x06, 0, 0, action}
#define ALLOW(number) {0x15, 0, 1, number}, RETURN(0x7fff0000)
#define KILL RETURN(0x80000000)
#define MODE_FILTER 2
#define SET_MODE_STRICT 0
#define SET_MODE_FILTER 1

static struct instruction code[] = {
    LOAD_NUMBER,
    ALLOW(SYS_write),
    ALLOW(SYS_writev),
    ALLOW(SYS_open),
    ALLOW(SYS_openat),
    ALLOW(SYS_read),
    ALLOW(SYS_readv),
    ALLOW(SYS_lseek),
    ALLOW(SYS_fstat),
#ifdef __i386__
    ALLOW(SYS_fcntl64),
    ALLOW(SYS_fstat64),
    ALLOW(SYS_fstatat64),
    ALLOW(SYS__llseek),
    ALLOW(SYS_mmap2),
    ALLOW(SYS_sigreturn),
    ALLOW(SYS_statx),
#else
    ALLOW(SYS_newfstatat),
#endif
    ALLOW(SYS_fcntl),
    ALLOW(SYS_ioctl),
    ALLOW(SYS_close),
    ALLOW(SYS_brk),
    ALLOW(SYS_getrandom),
    ALLOW(SYS_mmap),
    ALLOW(SYS_munmap),
    ALLOW(SYS_madvise),
    ALLOW(SYS_sigaltstack),
    ALLOW(SYS_rt_sigaction),
    ALLOW(SYS_rt_sigreturn),
    ALLOW(SYS_kill),
    ALLOW(SYS_exit_group),
    KILL,
};

static struct program {
    unsigned short length;
    struct instruction *code;
} program = {sizeof code / sizeof *code, code}, empty = {0, code};

// There is no such instruction.
static struct instruction nonsense[] = {{0xffff, 0, 0, 0}};
static struct program unreadable = {1, NULL}, refused = {1, nonsense};
static volatile sig_atomic_t seen;

static void handler(int signal) { seen += signal == SIGUSR1; }

static void confine(const char *how)
{
    long result = 0;
    errno = 0;
    if (!strcmp(how, "prctl") || !strcmp(how, "proof"))
        result = prctl(PR_SET_SECCOMP, MODE_FILTER, &program);
    else if (!strcmp(how, "seccomp"))
        result = syscall(SYS_seccomp, SET_MODE_FILTER, 0, &program);
    else if (!strcmp(how, "refused"))
        result = prctl(PR_SET_SECCOMP, MODE_FILTER, &refused);
    else if (!strcmp(how, "asks")) {
        result += syscall(SYS_seccomp, SET_MODE_STRICT, 1, NULL);
        for (unsigned flag = 1; flag; flag <<= 1)
            result += syscall(SYS_seccomp, SET_MODE_FILTER, flag, NULL);
        result += syscall(SYS_seccomp, SET_MODE_FILTER, 0, &unreadable);
        result += prctl(PR_SET_SECCOMP, MODE_FILTER, NULL);
        result += prctl(PR_SET_SECCOMP, MODE_FILTER, &empty);
    }
    else if (!strcmp(how, "vfork")) {
        pid_t child = vfork();
        if (child == 0)
            _exit(prctl(PR_SET_SECCOMP, MODE_FILTER, &program) == 0 ? 3 : 4);
        int status;
        MUST(waitpid(child, &status, 0) == child);
        result = status;
    }
    printf("confined: %ld errno %d\n", result, errno);
    if (!strcmp(how, "proof"))
        syscall(SYS_gettid);
}

int main(int argc, char **argv)
{
    dead_man(20);
    MUST(argc > 1);
    int shows_locks = argc > 2 && !strcmp(argv[2], "locked");
    pid_t own = getpid();
    char *stack = fresh_pages(STACK_SIZE), *other = fresh_pages(STACK_SIZE);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    if (shows_locks)
        fprintf(stderr, "locked before: %ld\n", locked_pages(stack, STACK_SIZE));
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    confine(argv[1]);
    if (shows_locks)
        fprintf(stderr, "locked after: %ld\n", locked_pages(stack, STACK_SIZE));

    // The program continues to work.
    MUST(kill(own, SIGUSR1) == 0);
    errno = ENOTTY;
    printf("madvise: %d", madvise(stack, STACK_SIZE, MADV_DONTNEED));
    printf(" set: %d", set_altstack(other, STACK_SIZE));
    printf(" munmap: %d errno %d\n", munmap(stack, STACK_SIZE), errno);
    MUST(kill(own, SIGUSR1) == 0);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    printf("drop: %d signals: %d\n", drop_altstack(), (int)seen);
    return 0;
}
