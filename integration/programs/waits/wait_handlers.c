/*
 * What happens to handlers that a program installs or gets back by functions other than
 * sigaction, and to those that it exchanges under a storm of signals: each strategy must
 * behave like no strategy.
 *
 * wait_handlers PART   PART: one of those listed in main
 */
// compared: elsewhere
#include "common.h"

#include <sched.h>
#include <time.h>
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

typedef void (*handler_t)(int);

extern handler_t __sysv_signal(int, handler_t) __attribute__((weak));
extern handler_t bsd_signal(int, handler_t) __attribute__((weak));
#ifdef __GLIBC__
extern handler_t sysv_signal(int, handler_t) __attribute__((weak));
extern handler_t ssignal(int, handler_t) __attribute__((weak));
#else /* Only with the library, which is not compared. */
#define sysv_signal NULL
#define ssignal NULL
#endif
#ifndef SIG_HOLD
#define SIG_HOLD ((handler_t)2)
#endif
extern handler_t sigset(int, handler_t) __attribute__((weak));

/* The kernel's struct sigaction. */
struct raw {
    handler_t handler;
    unsigned long flags;
    void *restorer;
    unsigned long mask;
};

static volatile int ran;
static handler_t volatile before;

static void first(int signal) { ran += signal == SIGUSR1 ? 1 : 1000; }
static void other(int signal) { ran += signal == SIGUSR1 ? 10 : 1000; }
static void chained(int signal)
{
    ran += 100;
    before(signal);
}

static handler_t by_syscall(int signal, handler_t handler)
{
    struct raw new, old;
    /* The restorer is libc's. */
    MUST(syscall(SYS_rt_sigaction, signal, NULL, &new, 8) == 0);
    new.handler = handler;
    MUST(syscall(SYS_rt_sigaction, signal, &new, &old, 8) == 0);
    return old.handler;
}

static handler_t by_sigaction(int signal, handler_t handler)
{
    struct sigaction new = {.sa_handler = handler}, old;
    MUST(sigaction(signal, &new, &old) == 0);
    return old.sa_handler;
}

static const struct {
    const char *name;
    handler_t (*install)(int, handler_t);
} ways[] = {{"sigaction", by_sigaction}, {"syscall", by_syscall}, {"signal", signal},
            {"__sysv_signal", __sysv_signal}, {"bsd_signal", bsd_signal}, {"sysv_signal", sysv_signal},
            {"ssignal", ssignal}, {"sigset", sigset}};
#define WAYS (int)(sizeof ways / sizeof *ways)

static const char *name(handler_t handler)
{
    return handler == first ? "first" : handler == other ? "other" : handler == chained ? "chained" : handler == SIG_DFL ? "default" : "?";
}

static const char *raise_usr1(void)
{
    static char text[16];
    ran = 0;
    kill(getpid(), SIGUSR1); /* raise uses what libc remembers, which may be wrong in a copy */
    snprintf(text, sizeof text, "%d", ran);
    return text;
}

static char *protected_page;
static void unprotect(int signal)
{
    (void)signal;
    mprotect(protected_page, PAGE, PROT_READ | PROT_WRITE);
}

/* The old handler is the program's own; it can be called and set again. */
static void handed_out(void)
{
    for (int way = 0; way < WAYS; way++) {
        if (!ways[way].install)
            continue;
        on_signal(SIGUSR1, first, 0);
        before = ways[way].install(SIGUSR1, chained);
        printf("%s: was %s", ways[way].name, name(before));
        printf(", chained %s", raise_usr1());
        by_sigaction(SIGUSR1, other);
        printf(", then other %s", raise_usr1());
        printf(", was %s", name(ways[way].install(SIGUSR1, before)));
        printf(", back %s", raise_usr1());
        struct raw now;
        MUST(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &now, 8) == 0);
        printf(", now %s\n", name(now.handler));
        on_signal(SIGUSR1, SIG_DFL, 0);
    }
    if (sigset) {
        sigset_t mask;
        printf("held: %s", name(sigset(SIGUSR1, SIG_HOLD)));
        sigprocmask(SIG_BLOCK, NULL, &mask);
        printf(" %d", sigismember(&mask, SIGUSR1));
        printf(" %d", sigset(SIGUSR1, first) == SIG_HOLD);
        sigprocmask(SIG_BLOCK, NULL, &mask);
        printf(" %d\n", sigismember(&mask, SIGUSR1));
    }
    protected_page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    on_signal(SIGSEGV, unprotect, 0);
    on_signal(SIGUSR1, first, 0);
    MUST(sigaction(SIGUSR1, NULL, (struct sigaction *)protected_page) == 0);
    struct sigaction shown = *(struct sigaction *)protected_page;
    printf("on a page that a handler opens: %s\n", name(shown.sa_handler));
    struct raw bad = {.handler = first};
    before = (handler_t)1;
    printf("bad: %d", signal(SIGKILL, first) == SIG_ERR);
    printf(" %d", signal(99, first) == SIG_ERR);
    printf(" %ld", syscall(SYS_rt_sigaction, SIGUSR1, &bad, &bad, 4));
    printf(" %ld", syscall(SYS_rt_sigaction, SIGUSR1, NULL, (void *)8, 8));
    printf(" %d\n", siginterrupt(99, 0));
}

/* What the kernel has, bypassing every hook. */
static handler_t installed_for(long signal)
{
    struct raw now;
    long result;
    register long size __asm__("r10") = 8;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_rt_sigaction), "D"(signal), "S"(0L), "d"(&now), "r"(size)
                     : "rcx", "r11", "memory");
    return now.handler;
}

static handler_t installed(void) { return installed_for(SIGUSR1); }

/* A handler that was read past every hook can still be called, and set again. */
static void read_past(void)
{
    on_signal(SIGUSR1, first, 0);
    before = installed();
    signal(SIGUSR1, chained);
    printf("called: %s", raise_usr1());
    /* The third argument is not what a delivery passes. */
    ran = 0;
    ((void (*)(int, void *, void *))(uintptr_t)before)(SIGUSR1, NULL, (void *)8);
    printf(" %d", ran);
    by_sigaction(SIGUSR1, before);
    printf(", put back: %s\n", raise_usr1());
}

/* The value of a field in a process's status. */
static const char *status_of(pid_t pid, const char *field)
{
    static char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    int fd = open(path, O_RDONLY);
    MUST(fd >= 0);
    ssize_t got = read(fd, text, sizeof text - 1);
    MUST(got > 0);
    close(fd);
    text[got] = 0;
    const char *at = strstr(text, field);
    MUST(at);
    return at + strlen(field);
}

/* Waits until the process sleeps with no SIGALRM pending. */
static void until_asleep(pid_t pid)
{
    for (int seen = 0; seen < 3; usleep(1000)) {
        unsigned long pending = strtoul(status_of(pid, "\nShdPnd:"), NULL, 16);
        seen += *status_of(pid, "\nState:\t") == 'S' && !(pending & 1UL << (SIGALRM - 1));
    }
}

/* A wait during whose sleep the signal comes. */
static long wait_under_alarm(void)
{
    pid_t parent = getpid(), child = fork();
    if (!child) {
        until_asleep(parent);
        kill(parent, SIGALRM);
        /* In this wait or the next. */
        until_asleep(parent);
        _exit(3);
    }
    pid_t got = waitpid(child, NULL, 0);
    int error = errno;
    if (got != child)
        waitpid(child, NULL, 0);
    return got == child ? 0 : error;
}

static void interrupt(void)
{
    static const int flags[] = {0, SA_RESTART, 0, SA_RESTART};
    for (int way = 0; way < 4; way++) {
        on_signal(SIGALRM, first, flags[way]);
        MUST(siginterrupt(SIGALRM, way > 1) == 0);
        printf("flags %d, siginterrupt %d: %ld\n", flags[way] != 0, way > 1, wait_under_alarm());
    }
    for (int way = 0; way < WAYS; way++)
        if (ways[way].install)
            for (int interrupts = 0; interrupts < 2; interrupts++) {
                on_signal(SIGALRM, SIG_DFL, 0);
                siginterrupt(SIGALRM, interrupts);
                ways[way].install(SIGALRM, first);
                printf("%s after siginterrupt %d: %ld\n", ways[way].name, interrupts, wait_under_alarm());
            }
}

/* Which handlers the kernel would call directly. */
static void behind(void)
{
    for (int way = 0; way < WAYS; way++)
        if (ways[way].install) {
            on_signal(SIGUSR1, SIG_DFL, 0);
            ways[way].install(SIGUSR1, first);
            struct sigaction now;
            sigaction(SIGUSR1, NULL, &now);
            printf("%s: restarts %d, itself %d\n", ways[way].name, (now.sa_flags & SA_RESTART) != 0, installed() == first);
        }
    for (int interrupts = 0; interrupts < 2; interrupts++) {
        on_signal(SIGUSR1, first, interrupts ? SA_RESTART : 0);
        siginterrupt(SIGUSR1, interrupts);
        printf("siginterrupt: restarts %d, itself %d\n", !interrupts, installed() == first);
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (vfork() == 0) {
            on_signal(SIGUSR2, first, 0);
            _exit(0);
        }
        on_signal(SIGUSR1, other, 0);
        printf("in a child, whose vfork child had one: restarts 0, itself %d\n", installed() == other);
        fflush(stdout);
        _exit(0);
    }
    MUST(waitpid(child, NULL, 0) == child);
}

/* libc's handlers of its own signals stay libc's. */
static void private(void)
{
    for (int signal = 32; signal < 36; signal++) {
        by_syscall(signal, first);
        printf("%d: libc's %d, itself %d\n", signal, signal < SIGRTMIN, installed_for(signal) == first);
    }
}

#if defined(__GLIBC__) && __GLIBC__ == 2 && __GLIBC_MINOR__ < 34
#define BARE_FORK NULL // with the library, one can be found
#else
#define BARE_FORK _Fork
extern pid_t _Fork(void);
#endif
static pid_t fork_by_syscall(void) { return (pid_t)syscall(SYS_fork); }

static int install_other(void *argument)
{
    by_sigaction(SIGUSR1, other);
    return argument != NULL;
}

/* A copy that ran no fork handlers, and a child that shares the memory. */
static void copied(void)
{
    static char stack[65536];
    pid_t (*const forks[])(void) = {BARE_FORK, fork_by_syscall};

    for (int way = 0; way < 2; way++) {
        if (!forks[way])
            continue;
        on_signal(SIGUSR1, first, 0);
        fflush(stdout);
        pid_t copy = forks[way]();
        if (copy == 0) {
            MUST(clone(install_other, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL) > 0);
            printf("first %s", raise_usr1());
            by_sigaction(SIGUSR1, other);
            printf(", other %s", raise_usr1());
            printf(", was %s\n", name(by_sigaction(SIGUSR1, first)));
            fflush(stdout);
            _exit(0);
        }
        MUST(waitpid(copy, NULL, 0) == copy);
    }
}

static volatile long plain, full, no_info, no_mask, with_mask;

static int usr2_blocked(void)
{
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    return sigismember(&mask, SIGUSR2);
}

static void on_plain(int signal)
{
    (void)signal;
    plain++;
    with_mask += usr2_blocked();
}

static void on_full(int signal, siginfo_t *info, void *context)
{
    (void)context;
    full++;
    no_info += info->si_signo != signal;
    no_mask += !usr2_blocked();
}

/* Two completely different handlers, exchanged while signals come. */
static void storm(void)
{
    struct sigaction one = {.sa_handler = on_plain}, two = {.sa_sigaction = on_full, .sa_flags = SA_SIGINFO};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec often = {{0, 23000}, {0, 23000}};
    timer_t timer;

    sigaddset(&two.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &one, NULL);
    MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    MUST(timer_settime(timer, 0, &often, NULL) == 0);
    for (time_t end = time(NULL) + 3; time(NULL) < end;)
        for (int turn = 0; turn < 1000; turn++) {
            sigaction(SIGUSR1, &two, NULL);
            sigaction(SIGUSR1, &one, NULL);
        }
    MUST(timer_delete(timer) == 0);
    printf("both ran %d, no info %ld, no mask %ld, with the other's mask %ld\n", plain && full, no_info, no_mask, with_mask);
}

/* The distance of a handler's third argument from the stack pointer. */
static volatile long distance;
__attribute__((used)) static void note(long value) { distance = value; }
void entered(int, siginfo_t *, void *);
__asm__(".text\n"
        "entered:\n"
        "lea 8(%rsp), %rdi\n"
        "sub %rdx, %rdi\n"
        "jmp note\n");

/* How the gate recognizes a delivery. */
static void frame(void)
{
    MUST(set_altstack(fresh_pages(STACK_SIZE), STACK_SIZE) == 0);
    for (int info = 0; info < 2; info++)
        for (int on_stack = 0; on_stack < 2; on_stack++) {
            struct sigaction action = {.sa_sigaction = entered};
            action.sa_flags = (info ? SA_SIGINFO : 0) | (on_stack ? SA_ONSTACK : 0);
            sigaction(SIGUSR1, &action, NULL);
            distance = 1;
            raise(SIGUSR1);
            printf("info %d, alternate stack %d: %ld\n", info, on_stack, distance);
        }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {{"handed_out", handed_out}, {"read_past", read_past}, {"interrupt", interrupt},
                 {"behind", behind},         {"storm", storm},         {"frame", frame},
                 {"private", private},       {"copied", copied}};

    dead_man(60);
    setvbuf(stdout, NULL, _IOFBF, 65536);
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
        if (argc > 1 && !strcmp(argv[1], parts[i].name))
            parts[i].run();
    return 0;
}
