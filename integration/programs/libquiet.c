// A library whose threads must rest while the process forks, as OpenBLAS and allocators have it. Its
// fork handlers are registered before any that a preloaded library can register later.
#include "common.h"

static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER;
static pthread_t worker;
static int running, stop, by_joining;

// Uses, under its own lock, what a hardening library may watch.
static void *work(void *unused)
{
    char *stack = plain_pages(STACK_SIZE);
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
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
    MUST(pthread_create(&worker, NULL, work, NULL) == 0);
    running = 1;
}

void start_worker(int joining)
{
    by_joining = joining;
    start();
}

void end_worker(void)
{
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    MUST(pthread_join(worker, NULL) == 0);
    running = 0;
}

static void prepare(void)
{
    if (!running)
        return;
    if (by_joining)
        end_worker();
    else
        MUST(pthread_mutex_lock(&busy) == 0);
}

static void parent(void)
{
    if (by_joining)
        start();
    else if (running)
        MUST(pthread_mutex_unlock(&busy) == 0);
}

static void child(void)
{
    if (!by_joining && running)
        MUST(pthread_mutex_unlock(&busy) == 0);
    running = 0;
}

__attribute__((constructor)) static void ready(void) { MUST(pthread_atfork(prepare, parent, child) == 0); }
