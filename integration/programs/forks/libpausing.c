// A library whose threads must pause while the process forks, as in OpenBLAS and allocators. Its
// fork handlers are registered before any that a preloaded library can register later.
#include <sched.h>

#include "common.h"

static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER;
static pthread_t worker;
static _Atomic int running, stop, forking, rounds;
static enum rest { BY_LOCK, BY_JOINING, BY_ROUNDS } rest;

// From the first fork on it never stops working, even after that fork.
static void *work_on(void *unused)
{
    char *stack = plain_pages(STACK_SIZE);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    running = 1;
    while (!stop) {
        if (forking) {
            MUST(madvise(stack, STACK_SIZE, MADV_DONTNEED) == 0);
            rounds++;
        }
        sched_yield();
    }
    MUST(drop_altstack() == 0);
    return unused;
}

// Under its own lock, makes calls that a hardening library may hook.
static void *work(void *unused)
{
    char *stack = plain_pages(STACK_SIZE);
    while (!stop) {
        MUST(pthread_mutex_lock(&busy) == 0);
        MUST(set_altstack(stack, STACK_SIZE) == 0);
        MUST(madvise(stack, STACK_SIZE, MADV_DONTNEED) == 0);
        MUST(munlock(stack, STACK_SIZE) == 0);
        MUST(drop_altstack() == 0);
        MUST(pthread_mutex_unlock(&busy) == 0);
    }
    MUST(munmap(stack, STACK_SIZE) == 0);
    return unused;
}

static void start(void)
{
    stop = 0;
    MUST(pthread_create(&worker, NULL, rest == BY_ROUNDS ? work_on : work, NULL) == 0);
    while (rest == BY_ROUNDS && !running)
        sched_yield();
    running = 1;
}

void start_worker(enum rest how)
{
    rest = how;
    start();
}

void end_worker(void)
{
    stop = 1;
    MUST(pthread_join(worker, NULL) == 0);
    running = 0;
}

static void prepare(void)
{
    if (!running)
        return;
    if (rest == BY_JOINING) {
        end_worker();
    } else if (rest == BY_LOCK) {
        MUST(pthread_mutex_lock(&busy) == 0);
    } else {
        rounds = 0;
        forking = 1;
        while (rounds == 0)
            sched_yield();
    }
}

static void parent(void)
{
    if (rest == BY_JOINING)
        start();
    else if (rest == BY_LOCK && running)
        MUST(pthread_mutex_unlock(&busy) == 0);
}

static void child(void)
{
    if (rest == BY_LOCK && running)
        MUST(pthread_mutex_unlock(&busy) == 0);
    running = 0;
}

__attribute__((constructor)) static void ready(void) { MUST(pthread_atfork(prepare, parent, child) == 0); }
