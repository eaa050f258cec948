/*
 * Threads that fork and wait at the same time, as in the published reproducer of
 * FreeBSD PR 182161: a SIGCHLD handler with SA_RESTART, and wait calls that the kernel
 * must restart.
 *
 * wait_race FUNCTION FORKS [THREADS [DEADLINE]]
 *   FUNCTION  wait4 waitpid waitid: each thread waits for its own child
 *             wait wait3 any4 anyid: each thread waits for any child
 *
 * Prints how many waits failed, how many children were lost, and how many were
 * reported twice or with another child's status. Exit status 0 if there were none.
 */
// compared: elsewhere
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PID 4194304

/* Memory to which a kernel with a wrong pointer would write. */
static volatile char data[1 << 20];
/* By pid: the child's exit code plus 1, written by the child itself; 0 if there is no
 * such child or it has been reported. Shared with the children.
 */
static _Atomic unsigned char *expected;
/* By pid: the child's minor faults shortly before its end, if there are more than two
 * threads. The children differ by at least 64.
 */
static volatile int *faults;
static _Atomic long failed, lost, wrong, reaped;
static const char *function;
static long forks_of_thread;

static void on_child(int signal) { (void)signal; }

static void account(pid_t pid, int status, const struct rusage *usage)
{
    int seen = faults[pid];
    unsigned char said = atomic_exchange(&expected[pid], 0);

    if (usage && seen && (usage->ru_minflt < seen || usage->ru_minflt > seen + 48))
        wrong++;

    if (!said || !WIFEXITED(status) || WEXITSTATUS(status) + 1 != said)
        wrong++;
    else
        reaped++;
}

static int is(const char *name) { return !strcmp(function, name); }

/* One wait. Returns 0 when a child was reported. */
static int wait_once(pid_t child)
{
    int status = -1;
    struct rusage usage;
    const struct rusage *filled = 0;
    siginfo_t info;
    pid_t pid;

    memset(&usage, 0x55, sizeof usage);
    if (is("wait4"))
        pid = wait4(child, &status, 0, &usage);
    else if (is("waitpid"))
        pid = waitpid(child, &status, 0);
    else if (is("wait"))
        pid = wait(&status);
    else if (is("wait3"))
        pid = wait3(&status, 0, &usage);
    else if (is("any4"))
        pid = wait4(-1, &status, 0, &usage);
    else {
        int any = is("anyid");

        memset(&info, 0x55, sizeof info);
        if (waitid(any ? P_ALL : P_PID, any ? 0 : child, &info, WEXITED))
            return errno;
        if (info.si_signo != SIGCHLD || info.si_code != CLD_EXITED) {
            wrong++;
            return 0;
        }
        pid = info.si_pid;
        status = info.si_status << 8;
    }
    if (pid < 0)
        return errno;
    if (is("wait3") || is("wait4") || is("any4"))
        filled = &usage;
    account(pid, status, filled);
    return 0;
}

static void note_faults(int number)
{
    size_t length = (size_t)number % 8 * 64 * 4096 + 1;
    char *pages = mmap(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct rusage usage;

    for (size_t at = 0; pages != MAP_FAILED && at < length; at += 4096)
        pages[at] = 1;
    getrusage(RUSAGE_SELF, &usage);
    faults[getpid()] = (int)usage.ru_minflt;
}

static long threads;

static void *fork_and_wait(void *argument)
{
    long number = (long)argument;

    for (long i = 0; i < forks_of_thread; i++) {
        int says = (int)((i + number * 7) % 200);
        pid_t child = fork();

        if (!child) {
            struct timespec moment = {0, (i % 4) * 50000};

            if (moment.tv_nsec)
                nanosleep(&moment, 0);
            if (threads > 2)
                note_faults(says);
            atomic_fetch_add(&expected[getpid()], says + 1);
            _exit(says);
        }
        if (child < 0) {
            perror("fork");
            exit(2);
        }

        int error = wait_once(child);
        if (error) {
            failed++;
            if (failed <= 3)
                fprintf(stderr, "%s: %s\n", function, strerror(error));
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    pthread_t thread[64];
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART};

    threads = argc > 3 ? atol(argv[3]) : 2;
    if (argc < 3 || threads < 1 || threads > 64)
        return 2;
    function = argv[1];
    forks_of_thread = atol(argv[2]) / threads;
    alarm(argc > 4 ? atoi(argv[4]) : 600);
    expected = mmap(0, MAX_PID, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    faults = mmap(0, MAX_PID * sizeof *faults, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (expected == MAP_FAILED || faults == MAP_FAILED)
        return 2;
    sigaction(SIGCHLD, &action, 0);
    for (long i = 0; i < threads; i++)
        pthread_create(&thread[i], 0, fork_and_wait, (void *)i);
    for (long i = 0; i < threads; i++)
        pthread_join(thread[i], 0);

    for (long i = 0; i < MAX_PID; i++)
        lost += expected[i] != 0;
    long scribbled = 0;
    for (size_t i = 0; i < sizeof data; i++)
        scribbled += data[i] != 0;
    printf("forks %ld failed %ld lost %ld wrong %ld scribbled %ld\n",
           forks_of_thread * threads, failed, lost, wrong, scribbled);
    return failed || lost || wrong || scribbled;
}
