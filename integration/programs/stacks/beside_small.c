// What stacks that stand in for small ones must leave alone: the program's memory at addresses of
// its own choice, its limits, its children, and what it reads back.
#include "common.h"
#include <stdatomic.h>
#ifdef __GLIBC__ // musl has no swapcontext(3)
#include <ucontext.h>
#endif

enum { SIZE = 8192 };

static void nothing(int signal) { (void)signal; }

static atomic_int over;

static void *set_fresh_ones(void *unused)
{
    while (!over) {
        char *stack = plain_pages(SIZE);
        MUST(set_altstack(stack, SIZE) == 0);
        MUST(drop_altstack() == 0);
        MUST(munmap(stack, SIZE) == 0);
    }
    return unused;
}

// A place of its own that nothing else uses is mapped, written to and unmapped again and again.
static void place_of_its_own(void)
{
    char *place = (char *)0x20000000;
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, set_fresh_ones, NULL) == 0);
    for (int i = 0; i < 8000; i++) {
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
        MUST(mmap(place, SIZE, PROT_READ | PROT_WRITE, flags, -1, 0) == place);
        place[0] = place[SIZE - 1] = 1;
        MUST(set_altstack(place, SIZE) == 0);
        MUST(drop_altstack() == 0);
        MUST(munmap(place, SIZE) == 0);
        MUST(mmap(place, SIZE, PROT_READ | PROT_WRITE, flags, -1, 0) == place);
        place[0] = place[SIZE - 1] = 1;
    }
    over = 1;
    MUST(pthread_join(thread, NULL) == 0);
    puts("kept");
}

// Under mlockall(MCL_FUTURE) all that is mapped counts against the limit.
static void limit(void)
{
    MUST(mlockall(MCL_FUTURE) == 0);
    static char stacks[200][SIZE];
    for (int i = 0; i < 200; i++)
        MUST(set_altstack(stacks[i], SIZE) == 0);
    void *rest = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    puts(rest == MAP_FAILED ? "refused" : "mapped");
}

static int is_dropped;

static void *set_and_keep(void *kept)
{
    char *stack = malloc(SIZE);
    MUST(stack && set_altstack(stack, SIZE) == 0);
    MUST(raise(SIGUSR1) == 0);
    if (is_dropped)
        MUST(drop_altstack() == 0);
    *(char **)kept = stack;
    return NULL;
}

// The memory of the stacks of threads that have ended stays in use for something else.
static void ended_threads(int dropped)
{
    enum { THREADS = 2000 };
    is_dropped = dropped;
    static char *kept[THREADS];
    long before = mapping_count();
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        MUST(pthread_create(&thread, NULL, set_and_keep, &kept[i]) == 0);
        MUST(pthread_join(thread, NULL) == 0);
    }
    puts(mapping_count() - before < THREADS ? "few mappings" : "many mappings");
}

// The same memory, registered with other sizes.
static void sizes(void)
{
    static char memory[4 * SIZE];
    size_t asked[] = {SIZE, SIZE + 1000, SIZE / 2, SIZE};
    for (int i = 0; i < 4; i++) {
        stack_t new = {.ss_sp = memory, .ss_size = asked[i]}, old, now;
        memset(&old, 0, sizeof old);
        // No such flag: this one fails.
        new.ss_flags = i == 2 ? 0x10 : 0;
        int result = sigaltstack(&new, &old);
        MUST(sigaltstack(NULL, &now) == 0);
        printf("%d: before %zu, now %zu\n", result, result ? 0 : old.ss_size, now.ss_size);
    }
}

static char memory[8 * SIZE];
static size_t other_size;

// Runs on the ordinary stack. When it returns, the kernel puts back what was set before.
static void sets_it_in_another_way(int signal)
{
    (void)signal;
    MUST(drop_altstack() == 0 && set_altstack(memory, other_size) == 0);
    MUST(raise(SIGUSR1) == 0);
}

// A stack that grows or shrinks in place.
static void in_place(void)
{
    enum { FIRST = SIZE + 2048 };
    on_signal(SIGUSR2, sets_it_in_another_way, 0);
    MUST(set_altstack(memory, FIRST) == 0);
    for (int i = 0; i < 4; i++) {
        other_size = i == 2 ? SIZE : 2 * SIZE + i * 4096;
        MUST(raise(SIGUSR2) == 0);
        stack_t now;
        MUST(sigaltstack(NULL, &now) == 0);
        printf("%d", now.ss_sp == memory && now.ss_size == FIRST && now.ss_flags == 0);
        fflush(stdout);
        MUST(raise(SIGUSR1) == 0);
    }
    // Ours do not pile up meanwhile.
    long before = mapping_count();
    for (int i = 0; i < 1000; i++)
        MUST(set_altstack(memory, SIZE + 16 * i) == 0);
    puts(mapping_count() - before < 100 ? " few mappings" : " many mappings");
}

#ifdef __GLIBC__
static ucontext_t coroutine, made, resumed;
static volatile int status = -1;

static void is_left(int signal)
{
    (void)signal;
    MUST(swapcontext(&coroutine, &made) == 0);
    pid_t child = fork();
    if (child == 0)
        _exit(7);
    int how = 0;
    MUST(waitpid(child, &how, 0) == child);
    status = how;
    MUST(swapcontext(&coroutine, &resumed) == 0);
}

static void *makes(void *unused)
{
    static char stack[SIZE];
    (void)unused;
    MUST(set_altstack(stack, SIZE) == 0);
    volatile int once = 0;
    MUST(getcontext(&made) == 0);
    if (!once) {
        once = 1;
        MUST(raise(SIGUSR1) == 0);
    }
    over = 1;
    for (;;)
        pause();
}

// A coroutine that one thread made on its alternate stack forks in another thread.
static void forks(void)
{
    on_signal(SIGUSR1, is_left, SA_ONSTACK);
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, makes, NULL) == 0);
    while (!over)
        usleep(100);
    MUST(swapcontext(&resumed, &coroutine) == 0);
    printf("child: %d\n", status);
}

#else
static void forks(void) {}
#endif

int main(int argc, char **argv)
{
    dead_man(60);
    on_signal(SIGUSR1, nothing, SA_ONSTACK);
    const char *what = argc > 1 ? argv[1] : "sizes";
    if (!strcmp(what, "place"))
        place_of_its_own();
    else if (!strcmp(what, "limit"))
        limit();
    else if (!strcmp(what, "threads"))
        ended_threads(1);
    else if (!strcmp(what, "threads_set"))
        ended_threads(0);
    else if (!strcmp(what, "in_place"))
        in_place();
    else if (!strcmp(what, "forks"))
        forks();
    else
        sizes();
    return 0;
}
