// A library whose fork handlers make one thread's fork slow, so that other threads meet it, or give
// up waiting for it.
#include "common.h"

static pthread_t slow;
static _Atomic int amid, is_set;
static useconds_t takes;

// Returns once that fork is under way.
void await_slow_fork(void)
{
    while (!amid)
        usleep(1000);
    amid = 0;
}

// Forks a child that runs `work`, if not null, and exits with what it returns; the fork takes the
// given number of milliseconds. Returns the child's status.
int fork_slowly(unsigned milliseconds, int (*work)(void))
{
    slow = pthread_self();
    takes = milliseconds * 1000;
    is_set = 1;
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0)
        _exit(work ? work() : 0);
    int status;
    MUST(waitpid(child, &status, 0) == child);
    return status;
}

static void prepare(void)
{
    if (is_set && pthread_equal(slow, pthread_self())) {
        amid = 1;
        usleep(takes);
    }
}

static void child(void) { is_set = 0; }

__attribute__((constructor)) static void ready(void) { MUST(pthread_atfork(prepare, NULL, child) == 0); }
