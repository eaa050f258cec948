/*
 * The result of every wait function in every situation, as text to compare: on a kernel
 * without the defect each strategy must print what libc prints.
 *
 * wait_semantics [PART [old]]   PART: one of those listed in main
 *   old: the kernel's waitid refuses what it refused before Linux 5.4 and 4.7
 *
 * A line is "SITUATION FUNCTION: RESULT". Pids are printed as names.
 */
// compared: elsewhere
#include "process_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum function { WAIT, WAITPID, WAIT3, WAIT4, WAITID, SYS4, SYSID, FUNCTIONS };
static const char *const names[] = {"wait", "waitpid", "wait3", "wait4", "waitid", "syscall4", "syscallid"};

static pid_t child; /* the child that the situation concerns */

static void pause_ms(int ms) { usleep(ms * 1000); }

/* musl has no strerrorname_np. */
static const char *error_text(int error)
{
    static const struct {
        int error;
        const char *name;
    } list[] = {{ECHILD, "ECHILD"}, {EINTR, "EINTR"}, {EINVAL, "EINVAL"}, {EFAULT, "EFAULT"},
                {ESRCH, "ESRCH"},   {EAGAIN, "EAGAIN"}, {EBADF, "EBADF"}};
    for (unsigned i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i].error == error)
            return list[i].name;
    return strerror(error);
}

static const char *error_name(int error) { return error ? error_text(error) : "0"; }

static const char *who(pid_t pid)
{
    static char text[32];

    if (pid > 0 && pid == child)
        return "child";
    snprintf(text, sizeof text, pid > 0 ? "other" : "%d", pid);
    return text;
}

static void print_status(int status)
{
    if (status == 0x5a5a5a5a)
        printf(" status untouched");
    else if (WIFEXITED(status))
        printf(" exited %d", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        printf(" signal %d%s", WTERMSIG(status), WCOREDUMP(status) ? " core" : "");
    else if (WIFSTOPPED(status))
        printf(" stopped %x", status >> 8);
    else if (WIFCONTINUED(status))
        printf(" continued");
    else
        printf(" status %x", status);
}

/* How to make a call, apart from the function. */
struct request {
    pid_t pid;
    int options;
    int null;        /* no status, usage, record */
    void *status, *usage; /* used instead of good pointers unless null */
};

/* Whether `function` supports what `r` asks for. */
static int can(enum function f, const struct request *r)
{
    switch (f) {
    case WAIT:
        return r->pid == -1 && !r->options && !r->usage;
    case WAITPID:
        return !r->usage;
    case WAIT3:
        return r->pid == -1;
    case WAITID:
        return !r->usage;
    default:
        return 1;
    }
}

static void make(const char *situation, enum function f, struct request r)
{
    int status = 0x5a5a5a5a, *at = &status;
    struct rusage usage, *into = &usage;
    siginfo_t info, *record = &info;
    long got = 0;
    int by_id = f == WAITID || f == SYSID;
    idtype_t kind = r.pid == -1 ? P_ALL : r.pid > 0 ? P_PID : P_PGID;
    id_t id = r.pid == -1 ? 0 : r.pid > 0 ? (id_t)r.pid : -(id_t)r.pid;

    if (!can(f, &r))
        return;
    memset(&usage, 0x5a, sizeof usage);
    memset(&info, 0x5a, sizeof info);
    if (r.null)
        at = 0, into = 0, record = 0;
    if (r.status)
        at = r.status, record = r.status;
    if (r.usage)
        into = r.usage;
    errno = 0;
    switch (f) {
    case WAIT: got = wait(at); break;
    case WAITPID: got = waitpid(r.pid, at, r.options); break;
    case WAIT3: got = wait3(at, r.options, into); break;
    case WAIT4: got = wait4(r.pid, at, r.options, into); break;
    case WAITID: got = waitid(kind, id, record, r.options | WEXITED); break;
    case SYS4: got = syscall(SYS_wait4, r.pid, at, r.options, into); break;
    case SYSID: got = syscall(SYS_waitid, kind, id, record, r.options | WEXITED, into); break;
    default: break;
    }
    printf("%s %s: %s %s", situation, names[f], by_id ? (got ? "-1" : "0") : who(got),
           error_name(errno));
    if (at == &status && !by_id)
        print_status(status);
    if (record == &info && by_id) {
        printf(" signo %d code %d", info.si_signo, info.si_code);
        if (info.si_signo == SIGCHLD)
            printf(" %s %d uid %s", who(info.si_pid), info.si_status,
                   info.si_uid == getuid() ? "own" : "other");
    }
    if (into == &usage && (f == WAIT3 || f == WAIT4 || f == SYS4 || f == SYSID))
        printf(" usage %s", usage.ru_maxrss == 0x5a5a5a5a5a5a5a5a ? "untouched" : "written");
    printf("\n");
    fflush(stdout);
}

static pid_t fork_child(void)
{
    fflush(stdout);
    child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    return child;
}

/* Ends the remaining children, by calls that nothing hooks. */
static void clean_up(void)
{
    for (;;) {
        long result;
        if (child > 0)
            kill(child, SIGKILL);
        register long usage __asm__("r10") = 0;
        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(SYS_wait4), "D"(-1L), "S"(0L), "d"((long)__WALL), "r"(usage)
                         : "rcx", "r11", "memory");
        if (result == -ECHILD)
            break;
    }
    child = 0;
}

static void nothing(int signal) { (void)signal; }

static void handle(int signal, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(signal, &action, 0);
}

static void alarm_ms(int ms)
{
    struct itimerval timer = {.it_value = {ms / 1000, ms % 1000 * 1000}};
    setitimer(ITIMER_REAL, &timer, 0);
}

#define ANY ((struct request){.pid = -1})
#define FOR_EACH(f) for (enum function f = 0; f < FUNCTIONS; f++)

static void ends(void)
{
    static const int delays[] = {0, 20};
    FOR_EACH (f)
        for (int d = 0; d < 2; d++)
            for (int way = 0; way < 4; way++) {
                static const char *const ways[] = {"exit", "term", "core", "kill"};
                char name[32];
                snprintf(name, sizeof name, "%s-%s", d ? "late" : "early", ways[way]);
                if (!fork_child()) {
                    struct rlimit none = {0, 0};
                    if (way != 2)
                        setrlimit(RLIMIT_CORE, &none);
                    pause_ms(delays[d]);
                    if (way == 0)
                        _exit(7);
                    signal(SIGTERM, SIG_DFL);
                    raise(way == 1 ? SIGTERM : way == 2 ? SIGABRT : SIGKILL);
                }
                if (!d)
                    until_state(child, 'Z');
                make(name, f, ANY);
                make("then-none", f, ANY);
                clean_up();
            }
}

static void selectors(void)
{
    FOR_EACH (f)
        for (int d = 0; d < 2; d++)
            for (int s = 0; s < 8; s++) {
                static const char *const which[] = {"pid", "any", "own-group", "other-group", "int-min",
                                                    "no-such-pid", "parent", "no-such-group"};
                char name[48];
                snprintf(name, sizeof name, "%s-select-%s", d ? "late" : "early", which[s]);
                if (!fork_child()) {
                    if (s == 3)
                        setpgid(0, 0);
                    pause_ms(d ? 20 : 0);
                    _exit(9);
                }
                if (s == 3)
                    setpgid(child, child);
                if (!d)
                    until_state(child, 'Z');
                pid_t pids[] = {child, -1, 0, -child, INT_MIN, 999999999, getppid(), -999999999};
                make(name, f, (struct request){.pid = pids[s]});
                clean_up();
            }
}

static void options(void)
{
    static const struct {
        const char *name;
        int options;
    } list[] = {
        {"nohang", WNOHANG}, {"untraced", WUNTRACED}, {"continued", WCONTINUED}, {"all", __WALL},
        {"clone", (int)__WCLONE}, {"nothread", __WNOTHREAD}, {"nowait", WNOWAIT}, {"invalid", 0x10000},
        {"mixture", WUNTRACED | WCONTINUED | __WALL}, {"nohang-nowait", WNOHANG | WNOWAIT},
    };
    FOR_EACH (f)
        for (unsigned o = 0; o < sizeof list / sizeof *list; o++)
            for (int d = 0; d < 3; d++) {
                static const char *const when[] = {"early", "late", "never"};
                char name[48];
                if (d == 2 && !(list[o].options & (WNOHANG | 0x10000)))
                    continue;
                snprintf(name, sizeof name, "%s-option-%s", when[d], list[o].name);
                if (!fork_child()) {
                    pause_ms(d == 0 ? 0 : d == 1 ? 20 : 100000);
                    _exit(11);
                }
                if (d == 0)
                    until_state(child, 'Z');
                make(name, f, (struct request){.pid = -1, .options = list[o].options});
                make("again", f, (struct request){.pid = -1, .options = list[o].options | WNOHANG});
                clean_up();
            }
    /* A child that sends its parent no signal. */
    FOR_EACH (f)
        for (int o = 0; o < 3; o++) {
            static const int flags[] = {0, (int)__WCLONE, __WALL};
            fflush(stdout);
            child = (pid_t)syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);
            if (!child) {
                pause_ms(20);
                _exit(3);
            }
            make("silent-child", f, (struct request){.pid = -1, .options = flags[o]});
            clean_up();
        }
}

static void stops(void)
{
    FOR_EACH (f)
        for (int d = 0; d < 2; d++) {
            struct request untraced = {.pid = -1, .options = WUNTRACED};
            struct request continued = {.pid = -1, .options = WCONTINUED};
            if (!can(f, &untraced))
                continue;
            if (!fork_child()) {
                pause_ms(d ? 20 : 0);
                raise(SIGSTOP);
                pause_ms(40);
                _exit(5);
            }
            if (!d)
                until_state(child, 'T');
            make("stop", f, untraced);
            kill(child, SIGCONT);
            make("continue", f, continued);
            make("end", f, ANY);
            clean_up();
        }
    /* A stop that was not requested is not reported. */
    FOR_EACH (f) {
        if (!fork_child()) {
            pid_t self = getpid();
            if (!fork()) {
                until_state(self, 'T');
                pause_ms(20);
                kill(self, SIGCONT);
                _exit(0);
            }
            raise(SIGSTOP);
            _exit(6);
        }
        make("unasked-stop", f, ANY);
        clean_up();
    }
    /* Its tracer gets a report of every stop, requested or not. */
    FOR_EACH (f)
        for (int d = 0; d < 2; d++) {
            if (!fork_child()) {
                ptrace(PTRACE_TRACEME, 0, 0, 0);
                pause_ms(d ? 20 : 0);
                raise(SIGUSR1);
                pause_ms(d ? 20 : 0);
                _exit(8);
            }
            if (!d)
                until_state(child, 't');
            make("ptrace-stop", f, (struct request){.pid = -1, .options = f == WAITID || f == SYSID ? WSTOPPED : 0});
            ptrace(PTRACE_CONT, child, 0, 0);
            make("ptrace-end", f, ANY);
            clean_up();
        }
}

static void pointers(void)
{
    void *bad[] = {0, (void *)8, (void *)0xffff888000000000, (void *)"read only"};
    static const char *const which[] = {"null", "unmapped", "kernel", "read-only"};
    FOR_EACH (f)
        for (int d = 0; d < 3; d++)
            for (int b = 0; b < 4; b++)
                for (int at = 0; at < 2; at++) {
                    char name[64];
                    snprintf(name, sizeof name, "%s-%s-%s", d == 0 ? "early" : d == 1 ? "late" : "no-child",
                             which[b], at ? "usage" : "status");
                    if (d < 2) {
                        if (!fork_child()) {
                            pause_ms(d ? 20 : 0);
                            _exit(4);
                        }
                        if (!d)
                            until_state(child, 'Z');
                    }
                    struct request r = {.pid = -1, .null = !b};
                    if (at)
                        r.usage = bad[b];
                    else
                        r.status = bad[b];
                    make(name, f, r);
                    make("is-it-gone", f, (struct request){.pid = -1, .options = WNOHANG});
                    clean_up();
                }
}

static void dispositions(void)
{
    FOR_EACH (f)
        for (int way = 0; way < 3; way++) {
            static const char *const ways[] = {"ignored", "nocldwait", "nocldwait-handler"};
            if (way == 0)
                handle(SIGCHLD, SIG_IGN, 0);
            else
                handle(SIGCHLD, way == 1 ? SIG_DFL : nothing, SA_NOCLDWAIT | SA_RESTART);
            if (!fork_child()) {
                pause_ms(20);
                _exit(2);
            }
            make(ways[way], f, ANY);
            handle(SIGCHLD, SIG_DFL, 0);
            clean_up();
        }
}

static volatile sig_atomic_t handled;

static void count(int signal)
{
    (void)signal;
    handled++;
}

static void end_child(int signal)
{
    (void)signal;
    handled++;
    kill(child, SIGKILL);
    while (state(child) != 'Z')
        usleep(500);
}

static void interruptions(void)
{
    FOR_EACH (f)
        for (int restart = 0; restart < 2; restart++) {
            handled = 0;
            handle(SIGALRM, count, restart ? SA_RESTART : 0);
            if (!fork_child()) {
                pause_ms(restart ? 60 : 100000);
                _exit(1);
            }
            alarm_ms(30);
            make(restart ? "alarm-restart" : "alarm", f, ANY);
            printf("handled %d\n", handled);
            clean_up();
        }
    /* The handler makes the child reapable: the result is still EINTR. */
    FOR_EACH (f) {
        handled = 0;
        handle(SIGALRM, end_child, 0);
        if (!fork_child()) {
            pause_ms(100000);
            _exit(1);
        }
        alarm_ms(30);
        make("handler-ends-child", f, ANY);
        make("then", f, ANY);
        clean_up();
    }
    /* The child's own signal, with and without a handler's SA_RESTART: the child comes
     * first.
     */
    FOR_EACH (f)
        for (int restart = 0; restart < 2; restart++) {
            handled = 0;
            handle(SIGCHLD, count, restart ? SA_RESTART : 0);
            if (!fork_child()) {
                pause_ms(20);
                _exit(1);
            }
            struct request r = ANY;
            int again = 0;
            /* Whether EINTR comes first is a race in the kernel itself. */
            do
                make(again++ ? "sigchld-again" : restart ? "sigchld-restart" : "sigchld", restart ? f : WAITPID, r);
            while (!restart && state(child));
            handle(SIGCHLD, SIG_DFL, 0);
            clean_up();
        }
    /* The waiter itself is stopped and continued. */
    FOR_EACH (f) {
        pid_t self = getpid();
        if (!fork_child()) {
            pause_ms(20);
            kill(self, SIGSTOP);
            until_state(self, 'T');
            kill(self, SIGCONT);
            pause_ms(20);
            _exit(12);
        }
        make("stopped-waiter", f, ANY);
        clean_up();
    }
}

static enum function in_handler;
static pid_t inner;
static int let_inner[2], let_child[2];

/* A child that ends a moment after the handler lets it. */
static void end_when_let(const int *pipe, int status)
{
    char byte;
    while (read(pipe[0], &byte, 1) < 0)
        ;
    pause_ms(40);
    _exit(status);
}

static void wait_inside(int signal)
{
    int status = 0;
    (void)signal;
    if (inner && write(let_inner[1], "", 1) != 1)
        abort();
    pid_t got = inner ? waitpid(inner, &status, 0) : 0;
    if (got)
        printf("inside: %s %d\n", got == inner ? "inner" : "other", WEXITSTATUS(status));
    fflush(stdout);
    if (inner && write(let_child[1], "", 1) != 1)
        abort();
}

static void nesting(void)
{
    if (pipe(let_inner) || pipe(let_child))
        abort();
    FOR_EACH (f) {
        in_handler = f;
        handle(SIGALRM, wait_inside, SA_RESTART);
        inner = fork();
        if (!inner)
            end_when_let(let_inner, 21);
        if (!fork_child())
            end_when_let(let_child, 22);
        alarm_ms(20);
        make("wait-in-handler", f, (struct request){.pid = f == WAIT || f == WAIT3 ? -1 : child});
        clean_up();
    }
}

static volatile int taken;

/* Reaps every child that has changed state. */
static void collect(int signal)
{
    int saved = errno;
    (void)signal;
    while (waitpid(-1, 0, WNOHANG | WUNTRACED | WCONTINUED) > 0)
        taken++;
    errno = saved;
}

enum news { END, STOP, KEPT };

/* Whether the wait reports the child that has this news. */
static int reported(enum function f, enum news news)
{
    int status = 0, options = news == STOP ? WUNTRACED : 0;
    struct rusage usage;
    siginfo_t info = {0};

    switch (f) {
    case WAIT: return wait(&status) == child;
    case WAITPID: return waitpid(child, &status, options) == child;
    case WAIT3: return wait3(&status, options, &usage) == child;
    case WAIT4: return wait4(child, &status, options, &usage) == child;
    case SYS4: return syscall(SYS_wait4, child, &status, options, &usage) == child;
    default:
        options = news == STOP ? WSTOPPED : news == KEPT ? WEXITED | WNOWAIT : WEXITED;
        return (f == WAITID ? waitid(P_PID, child, &info, options)
                            : syscall(SYS_waitid, P_PID, child, &info, options, &usage)) == 0 &&
               info.si_pid == child;
    }
}

static void *collected(void *argument)
{
    static const char *const what[] = {"end", "stop", "kept"};
    pid_t waiter = (pid_t)syscall(SYS_gettid);
    sigset_t chld;

    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    pthread_sigmask(SIG_UNBLOCK, &chld, 0);
    FOR_EACH (f)
        for (int restart = 0; restart < 2; restart++)
            for (enum news news = END; news <= KEPT; news++) {
                int got = 0;
                if ((news == STOP && f == WAIT) || (news == KEPT && f != WAITID && f != SYSID))
                    continue;
                taken = 0;
                for (int turn = 0; turn < 50; turn++) {
                    if (!fork_child()) {
                        until_state(waiter, 'S');
                        if (news == STOP)
                            raise(SIGSTOP);
                        _exit(turn);
                    }
                    handle(SIGCHLD, collect, restart ? SA_RESTART : 0);
                    got += reported(f, news);
                    handle(SIGCHLD, SIG_DFL, 0);
                    clean_up();
                }
                printf("%s-of-50%s%s %s: reported %d, taken %d\n", what[news], restart ? "-restart" : "",
                       argument ? "-in-thread" : "", names[f], got, taken);
            }
    return 0;
}

/* A sleeping wait reaps its child before such a handler can. */
static void collectors(void)
{
    pthread_t thread;
    sigset_t chld;

    collected(0);
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &chld, 0);
    pthread_create(&thread, 0, collected, "");
    pthread_join(thread, 0);
}

static void *other_thread(void *argument)
{
    (void)argument;
    if (!fork_child()) {
        pause_ms(20);
        _exit(13);
    }
    return 0;
}

/* pthread_join returns before the thread's children are passed on to another. */
static void until_single_threaded(void)
{
    struct dirent *entry;
    int tasks;

    do {
        DIR *list = opendir("/proc/self/task");
        for (tasks = 0; (entry = readdir(list));)
            tasks += entry->d_name[0] != '.';
        closedir(list);
    } while (tasks > 1);
}

static void threads(void)
{
    FOR_EACH (f)
        for (int o = 0; o < 2; o++) {
            pthread_t thread;
            pthread_create(&thread, 0, other_thread, 0);
            pthread_join(thread, 0);
            until_single_threaded();
            make(o ? "others-child-nothread" : "others-child", f,
                 (struct request){.pid = -1, .options = o ? __WNOTHREAD : 0});
            clean_up();
        }
}

static void by_descriptor(void)
{
    for (int d = 0; d < 2; d++)
        for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
            siginfo_t info = {0};
            if (!fork_child()) {
                pause_ms(d ? 20 : 0);
                _exit(17);
            }
            int fd = (int)syscall(SYS_pidfd_open, child, nonblocking ? O_NONBLOCK : 0);
            if (fd < 0) {
                clean_up();
                continue;
            }
            if (!d)
                until_state(child, 'Z');
            errno = 0;
            int got = waitid((idtype_t)P_PIDFD, fd, &info, WEXITED);
            printf("pidfd %d %d: %d %s %s %d\n", d, nonblocking, got, error_name(errno), who(info.si_pid), info.si_status);
            close(fd);
            clean_up();
        }
    siginfo_t info;
    memset(&info, 0x5a, sizeof info);
    errno = 0;
    int got = waitid((idtype_t)77, 1, &info, WEXITED);
    printf("bad-kind: %d %s signo %x\n", got, error_name(errno), info.si_signo);
    memset(&info, 0x5a, sizeof info);
    errno = 0;
    got = waitid(P_ALL, 0, &info, 0);
    printf("no-event: %d %s signo %x\n", got, error_name(errno), info.si_signo);
    errno = 0;
    got = waitid(P_PGID, 0, &info, WEXITED);
    printf("own-group-by-id: %d %s\n", got, error_name(errno));
}

static void beside(void)
{
    int status = system("exit 6");
    printf("system: %d\n", WEXITSTATUS(status));
    FILE *pipe = popen("echo text; exit 5", "r");
    char text[16] = "";
    if (fgets(text, sizeof text, pipe))
        printf("popen: %s", text);
    status = pclose(pipe);
    printf("pclose: %d\n", WEXITSTATUS(status));
}

/* A filter that no hook sees being installed, for both entries: EINVAL for options that
 * waitid did not know, and for the group given as 0.
 */
static void become_old(void)
{
    /* From linux/filter.h and linux/seccomp.h, which musl does not have. */
    enum { NUMBER = 0, ARCHITECTURE = 4, ARGUMENTS = 16 };
    static const unsigned x86_64 = 0xc000003e, allow = 0x7fff0000, refuse = 0x00050000 | EINVAL;
    struct instruction {
        unsigned short code;
        unsigned char yes, no;
        unsigned value;
    } filter[] = {
#define LOAD(at) {0x20, 0, 0, at}
#define EQUAL(value, yes, no) {0x15, yes, no, value}
#define ANY_OF(bits, yes, no) {0x45, yes, no, bits}
#define SAY(value) {0x06, 0, 0, value}
        LOAD(ARCHITECTURE),
        EQUAL(x86_64, 0, 2),
        LOAD(NUMBER),
        EQUAL(SYS_waitid, 2, 8),
        LOAD(NUMBER),
        EQUAL(284, 0, 6),
        LOAD(ARGUMENTS + 3 * 8),
        ANY_OF((unsigned)(__WALL | __WCLONE | __WNOTHREAD), 5, 0),
        LOAD(ARGUMENTS),
        EQUAL(P_PGID, 0, 2),
        LOAD(ARGUMENTS + 8),
        EQUAL(0, 1, 0),
        SAY(allow),
        SAY(refuse),
    };
    struct {
        unsigned short length;
        struct instruction *filter;
    } program = {sizeof filter / sizeof *filter, filter};
    long result;

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_prctl), "D"((long)PR_SET_SECCOMP), "S"(2L), "d"(&program) /* 2: SECCOMP_MODE_FILTER */
                     : "rcx", "r11", "memory");
    if (result) {
        printf("no filter: %ld\n", result);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {
        {"ends", ends}, {"selectors", selectors}, {"options", options}, {"stops", stops},
        {"pointers", pointers}, {"dispositions", dispositions}, {"interruptions", interruptions},
        {"nesting", nesting}, {"collectors", collectors}, {"threads", threads}, {"by_descriptor", by_descriptor}, {"beside", beside},
    };
    setvbuf(stdout, 0, _IOFBF, 65536);
    setpgid(0, 0);
    if (argc > 2)
        become_old();
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
        if (argc < 2 || !strcmp(argv[1], parts[i].name)) {
            printf("== %s\n", parts[i].name);
            parts[i].run();
        }
    return 0;
}
