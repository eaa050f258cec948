/*
 * A FreeBSD program, as far as its waits are concerned; run it by sigward-freebsd.
 *
 * fbsd_wait race FORKS FUNCTION   two threads fork and wait for their child
 *                                 (wait4, wait6), with a SIGCHLD handler that
 *                                 has SA_RESTART; counts like wait_race
 * fbsd_wait semantics             single situations, as text
 */
// compared: elsewhere
// links: libfbsd
#include "common.h"

int *__error(void);
pid_t wait4(pid_t, int *, int, struct rusage *);
pid_t wait6(int kind, long id, int *status, int options, void *usage, void *info);

enum { FB_WNOHANG = 1, FB_WUNTRACED = 2, FB_WCONTINUED = 4, FB_WEXITED = 16, FB_P_PID = 0, FB_P_ALL = 7 };

static volatile long failed, wrong;
static long forks;
static const char *function;

static void nothing(int signal) { (void)signal; }

static void *fork_and_wait(void *argument)
{
    for (long i = 0; i < forks; i++) {
        pid_t child = fork();
        if (!child) {
            usleep(i % 4 * 100);
            _exit((int)(i % 100));
        }
        int status = -1;
        /* As long as struct __wrusage, which is two of them. */
        struct rusage usage[2];
        pid_t got = !strcmp(function, "wait4") ? wait4(child, &status, 0, usage)
                                               : wait6(FB_P_PID, child, &status, FB_WEXITED, usage, NULL);
        if (got == -1) {
            if (__sync_fetch_and_add(&failed, 1) < 3)
                fprintf(stderr, "%s: %s\n", function, strerror(*__error()));
        } else if (got != child || !WIFEXITED(status) || WEXITSTATUS(status) != i % 100)
            __sync_fetch_and_add(&wrong, 1);
    }
    return argument;
}

static int race(void)
{
    pthread_t threads[2];

    on_signal(SIGCHLD, nothing, SA_RESTART);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, fork_and_wait, NULL) == 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    printf("forks %ld failed %ld wrong %ld\n", 2 * forks, failed, wrong);
    return failed || wrong;
}

static void say(const char *situation, pid_t got, pid_t child, const int *status)
{
    printf("%s: %s", situation, got == child ? "child" : got == 0 ? "none" : got == -1 ? strerror(*__error()) : "other");
    if (got == child)
        printf(" %x", *status);
    printf("\n");
    fflush(stdout);
}

static pid_t child_that(int code, int ms)
{
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        usleep(ms * 1000);
        _exit(code);
    }
    return child;
}

// Repeated, because an alarm may come between two of our naps.
static void on_alarms(int ms, int flags)
{
    on_signal(SIGALRM, nothing, flags);
    ualarm(ms * 1000, ms * 1000);
}

static void semantics(void)
{
    int status = 0;
    struct rusage usage[2];
    pid_t child = child_that(7, 30);
    say("late", wait4(child, &status, 0, usage), child, &status);
    say("none left", wait4(-1, &status, 0, usage), child, &status);
    child = child_that(8, 1000); // long after the alarms, even on a busy machine
    say("no hang", wait4(child, &status, FB_WNOHANG, NULL), child, &status);
    on_alarms(30, 0);
    say("interrupted", wait4(child, &status, 0, NULL), child, &status);
    on_alarms(20, SA_RESTART);
    say("restarted", wait4(-1, &status, 0, usage), child, &status);
    ualarm(0, 0);
    child = child_that(9, 30);
    say("bad status", wait4(child, (int *)8, 0, NULL), child, &status);
    say("and gone", wait4(child, &status, 0, NULL), child, &status);
    say("bad options", wait4(-1, &status, 0x1000, NULL), child, &status);
    child = child_that(10, 30);
    say("wait6", wait6(FB_P_PID, child, &status, FB_WEXITED, usage, NULL), child, &status);
    say("wait6 without event", wait6(FB_P_ALL, 0, &status, 0, usage, NULL), child, &status);
    child = child_that(11, 30);
    say("wait6 of any", wait6(FB_P_ALL, 0, &status, FB_WEXITED, NULL, NULL), child, &status);
    child = fork();
    if (!child) {
        raise(SIGSTOP);
        _exit(12);
    }
    say("stopped", wait4(child, &status, FB_WUNTRACED, NULL), child, &status);
    kill(child, SIGCONT);
    say("ended", wait4(child, &status, 0, NULL), child, &status);
}

int main(int argc, char **argv)
{
    dead_man(250);
    if (argc > 3 && !strcmp(argv[1], "race")) {
        forks = atol(argv[2]) / 2;
        function = argv[3];
        return race();
    }
    semantics();
    return 0;
}
