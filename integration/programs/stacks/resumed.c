// Contexts that were left on alternate stacks, and memory of other threads' handlers: what becomes of
// them when the same or another thread, or the child of a fork, comes back to them later.
// compared: elsewhere
#include "common.h"
#include <stdatomic.h>
#ifdef __GLIBC__ // musl has no swapcontext(3)
#include <ucontext.h>

enum { SIZE = 8192, CELLS = 64, THREADS = 8, ROUNDS = 1500 };

struct coroutine {
    ucontext_t its, makers;
    volatile int is_new, result;
};

static __thread struct coroutine *mine;

static void *nothing(void *unused) { return unused; }

// A library may look at the stacks of threads that have ended when others start.
static void new_threads(void)
{
    pthread_t thread;
    for (int i = 0; i < 2 * CELLS; i++) {
        MUST(pthread_create(&thread, NULL, nothing, NULL) == 0);
        MUST(pthread_join(thread, NULL) == 0);
    }
}

// Whether the coroutine forks once it is resumed, and what fork(2) returned.
static int forks;
static pid_t forked;

static void left(int signal)
{
    (void)signal;
    struct coroutine *coroutine = mine;
    if (!coroutine || !coroutine->is_new)
        return;
    coroutine->is_new = 0;
    volatile long cells[CELLS];
    for (long i = 0; i < CELLS; i++)
        cells[i] = (long)coroutine + i;
    MUST(swapcontext(&coroutine->its, &coroutine->makers) == 0);
    if (forks && (forked = fork()) == 0)
        new_threads();
    for (long i = 0; i < CELLS; i++)
        coroutine->result += cells[i] == (long)coroutine + i;
    MUST(setcontext(&coroutine->makers) == 0);
}

static void make_on(struct coroutine *coroutine, char *stack)
{
    mine = coroutine;
    coroutine->is_new = 1;
    coroutine->result = 0;
    MUST(!stack || set_altstack(stack, SIZE) == 0);
    volatile int is_back = 0;
    MUST(getcontext(&coroutine->makers) == 0);
    if (!is_back) {
        is_back = 1;
        MUST(raise(SIGUSR1) == 0);
    }
}

static int is_intact(struct coroutine *coroutine)
{
    volatile int is_back = 0;
    MUST(getcontext(&coroutine->makers) == 0);
    if (!is_back) {
        is_back = 1;
        MUST(setcontext(&coroutine->its) == 0);
    }
    return coroutine->result == CELLS;
}

static atomic_int intact;

// Each time at another place, so that what was unmapped stays so.
static void *makes_many(void *numbered)
{
    struct coroutine coroutine;
    for (long i = 0; i < ROUNDS; i++) {
        uintptr_t place = 0x20000000 + ((uintptr_t)(i * THREADS + (long)numbered) << 18);
        int flags = MAP_PRIVATE | MAP_ANONYMOUS;
        char *stack = mmap((void *)place, 2 * SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
        MUST(stack != MAP_FAILED);
        make_on(&coroutine, stack);
        MUST(drop_altstack() == 0);
        sched_yield();
        intact += is_intact(&coroutine);
        MUST(munmap(stack, 2 * SIZE) == 0);
    }
    return NULL;
}

static void threads(void)
{
    pthread_t all[THREADS];
    for (long i = 0; i < THREADS; i++)
        MUST(pthread_create(&all[i], NULL, makes_many, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_join(all[i], NULL) == 0);
    printf("intact: %d of %d\n", intact, THREADS * ROUNDS);
}

static struct coroutine shared;
static atomic_int is_made;
static int ends, sets = 1;

static void *makes_one(void *unused)
{
    char *stack = sets ? malloc(SIZE) : NULL;
    MUST(stack || !sets);
    make_on(&shared, stack);
    is_made = 1;
    while (!ends)
        pause();
    return unused;
}

static void other_thread(int its_end)
{
    pthread_t thread;
    ends = its_end;
    MUST(pthread_create(&thread, NULL, makes_one, NULL) == 0);
    while (!is_made)
        usleep(100);
    if (ends)
        MUST(pthread_join(thread, NULL) == 0);
}

// The thread ended while the stack was set; its memory is still there.
static void ended(void)
{
    other_thread(1);
    printf("intact: %d\n", is_intact(&shared));
}

// As a program that reports crashes does, but for the report.
static void child(void)
{
    other_thread(0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        // Its own threads set stacks too.
        static char stack[SIZE];
        MUST(set_altstack(stack, SIZE) == 0 && drop_altstack() == 0);
        new_threads();
        _exit(is_intact(&shared) ? 7 : 8);
    }
    int how = 0;
    MUST(waitpid(pid, &how, 0) == pid);
    printf("child: %#x\n", how);
}

// The coroutine is resumed here, and forks: the child goes on where the thread had its handler.
static void forks_itself(void)
{
    other_thread(0);
    fflush(stdout);
    forks = 1;
    int is_whole = is_intact(&shared), how = 0;
    if (forked == 0)
        _exit(is_whole ? 7 : 8);
    MUST(waitpid(forked, &how, 0) == forked);
    printf("intact: %d child: %#x\n", is_whole, how);
}

int main(int argc, char **argv)
{
    dead_man(60);
    MUST(argc == 2);
    on_signal(SIGUSR1, left, SA_ONSTACK);
    if (!strcmp(argv[1], "threads"))
        threads();
    else if (!strcmp(argv[1], "ended"))
        ended();
    else {
        // Without a stack of its own, if that is wanted.
        sets = !strstr(argv[1], "given");
        if (strstr(argv[1], "forks"))
            forks_itself();
        else
            child();
    }
    return 0;
}
#else
int main(void) { return 0; }
#endif
