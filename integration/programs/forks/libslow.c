// A library whose fork handlers make one thread's fork slow, so that other threads meet it, or give
// up waiting for it.
#include "common.h"

static pthread_t slow;
static _Atomic int is_under_way, is_set;
static useconds_t takes;
static const volatile int *until;

// Returns once that fork is under way.
void wait_for_slow_fork(void)
{
    while (!is_under_way)
        usleep(1000);
    is_under_way = 0;
}

static int fork_now(int (*work)(void))
{
    slow = pthread_self();
    is_set = 1;
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0)
        _exit(work ? work() : 0);
    int status;
    MUST(waitpid(child, &status, 0) == child);
    return status;
}

// Forks a child that ends at once; the fork takes the given number of milliseconds.
void fork_slowly(unsigned milliseconds)
{
    takes = milliseconds * 1000;
    fork_now(NULL);
}

// Forks a child that exits with what `work` returns; the fork takes until `*done`. Returns the
// child's status.
int fork_until(const volatile int *done, int (*work)(void))
{
    until = done;
    return fork_now(work);
}

static void prepare(void)
{
    if (is_set && pthread_equal(slow, pthread_self())) {
        is_under_way = 1;
        usleep(takes);
        while (until && !*until)
            usleep(1000);
    }
}

static void child(void) { is_set = 0; }

__attribute__((constructor)) static void ready(void) { MUST(pthread_atfork(prepare, NULL, child) == 0); }
