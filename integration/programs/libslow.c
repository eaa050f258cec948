// A library whose fork handlers make one thread's fork slow, for all others to give up on it.
#include "common.h"

static pthread_t slow;
static _Atomic int amid, is_set;

// Returns once that fork is under way.
void await_slow_fork(void)
{
    while (!amid)
        usleep(1000);
}

void be_slow(void)
{
    slow = pthread_self();
    is_set = 1;
}

static void prepare(void)
{
    if (is_set && pthread_equal(slow, pthread_self())) {
        amid = 1;
        usleep(1500000);
    }
}

static void child(void) { is_set = 0; }

__attribute__((constructor)) static void ready(void) { MUST(pthread_atfork(prepare, NULL, child) == 0); }
