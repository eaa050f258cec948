// Every byte that a child must find after a fork. Most stacks here contain more than frames: memory
// that is not copied would lose data.
// only: x86
#include <sys/mman.h>
#include "scenario.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

enum { THREADS = 4 };

static pthread_barrier_t set, asked;
static char *stacks[THREADS];

static void *holds_stack(void *argument)
{
    MUST(set_altstack(argument, STACK_SIZE) == 0);
    pthread_barrier_wait(&set);
    pthread_barrier_wait(&asked);
    return NULL;
}

// Runs `then` in this thread while the given number of other threads have these stacks.
static void with_some_threads(int threads, char *const all[], void (*then)(void))
{
    pthread_t ids[threads];
    on_signal(SIGUSR2, count, SA_ONSTACK);
    pthread_barrier_init(&set, NULL, threads + 1);
    pthread_barrier_init(&asked, NULL, threads + 1);
    for (int i = 0; i < threads; i++)
        MUST(pthread_create(&ids[i], NULL, holds_stack, all[i]) == 0);
    pthread_barrier_wait(&set);
    then();
    pthread_barrier_wait(&asked);
    for (int i = 0; i < threads; i++)
        MUST(pthread_join(ids[i], NULL) == 0);
}

static void with_threads(char *const all[], void (*then)(void)) { with_some_threads(THREADS, all, then); }

// A pattern that differs from byte to byte and from page to page.
static char expected(size_t at) { return (char)(at * 31 + at / PAGE + 1); }

static void fill(char *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        from[i] = expected(i);
}

static long wrong(const char *from, size_t size)
{
    long count = 0;
    for (size_t i = 0; i < size; i++)
        count += from[i] != expected(i);
    return count;
}

// The child prints how many bytes have changed, then the parent does.
static void fork_and_check(char *const ranges[], size_t size, int count)
{
    int status;
    fflush(stdout);
    for (int generation = 0; generation < 2; generation++) {
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) {
            long lost = 0;
            for (int i = 0; i < count; i++)
                lost += wrong(ranges[i], size);
            // Once more, from the child.
            pid_t grandchild = fork();
            MUST(grandchild >= 0);
            if (grandchild == 0)
                for (int i = 0; i < count; i++)
                    lost += wrong(ranges[i], size);
            else
                MUST(waitpid(grandchild, &status, 0) == grandchild && status == 0);
            if (lost)
                printf("lost: %ld\n", lost);
            fflush(stdout);
            _exit(lost != 0);
        }
        MUST(waitpid(child, &status, 0) == child);
        printf("child: %s\n", status == 0 ? "complete" : "incomplete");
    }
    long lost = 0;
    for (int i = 0; i < count; i++)
        lost += wrong(ranges[i], size);
    printf("parent: %s\n", lost == 0 ? "complete" : "incomplete");
}

static char *block;
enum { BLOCK = THREADS * STACK_SIZE + 8 * PAGE };

static void check_block(void)
{
    // Fills also the part of each stack that the frames never reached.
    fill(block, BLOCK);
    fork_and_check(&block, BLOCK, 1);
}

// Stacks from malloc, which share their first and last pages with other data.
static void heap(void)
{
    char *pieces[THREADS];
    block = malloc(BLOCK);
    MUST(block);
    for (int i = 0; i < THREADS; i++)
        pieces[i] = block + 100 + (size_t)i * (STACK_SIZE + PAGE / 2);
    with_threads(pieces, check_block);
    free(block);
}

static char *small[THREADS][64];

static void check_small(void)
{
    for (int i = 0; i < THREADS; i++)
        for (int k = 0; k < 64; k++)
            fill(small[i][k], 1500);
    fork_and_check(&small[0][0], 1500, THREADS * 64);
}

// Small separate allocations with a stack between them: neighbours on the same pages.
static void heap_neighbours(void)
{
    for (int i = 0; i < THREADS; i++) {
        for (int k = 0; k < 64; k++) {
            MUST((small[i][k] = malloc(1500)));
            if (k == 31)
                MUST((stacks[i] = malloc(STACK_SIZE)));
        }
    }
    with_threads(stacks, check_small);
}

static char *ranges[THREADS];

static void free_and_reuse(void)
{
    // Freed while still registered; then the same memory is used for something else.
    for (int i = 0; i < THREADS; i++)
        free(stacks[i]);
    for (int i = 0; i < THREADS; i++) {
        MUST((ranges[i] = malloc(STACK_SIZE)));
        fill(ranges[i], STACK_SIZE);
    }
    fork_and_check(ranges, STACK_SIZE, THREADS);
}

static void freed_and_reused(void)
{
    for (int i = 0; i < THREADS; i++)
        MUST((stacks[i] = malloc(STACK_SIZE)));
    with_threads(stacks, free_and_reuse);
}

// Large enough that malloc maps it separately.
static void free_and_reuse_large(void)
{
    enum { LARGE = 1 << 20 };
    for (int i = 0; i < THREADS; i++)
        free(stacks[i] - PAGE / 2);
    for (int i = 0; i < THREADS; i++) {
        MUST((ranges[i] = malloc(LARGE)));
        fill(ranges[i], LARGE);
    }
    fork_and_check(ranges, LARGE, THREADS);
}

static void large_freed_and_reused(void)
{
    for (int i = 0; i < THREADS; i++) {
        char *large = malloc(1 << 20);
        MUST(large);
        stacks[i] = large + PAGE / 2;
    }
    with_threads(stacks, free_and_reuse_large);
}

static void unmap_and_map(void)
{
    for (int i = 0; i < THREADS; i++)
        MUST(munmap(stacks[i], STACK_SIZE) == 0);
    for (int i = 0; i < THREADS; i++) {
        ranges[i] = plain_pages(STACK_SIZE);
        fill(ranges[i], STACK_SIZE);
    }
    fork_and_check(ranges, STACK_SIZE, THREADS);
}

static void map_stacks(void)
{
    for (int i = 0; i < THREADS; i++)
        stacks[i] = plain_pages(STACK_SIZE);
}

// The new mappings are larger than the stacks that were in the same place.
static void unmap_and_map_larger(void)
{
    for (int i = 0; i < THREADS; i++)
        MUST(munmap(stacks[i], STACK_SIZE) == 0);
    ranges[0] = plain_pages(THREADS * STACK_SIZE);
    fill(ranges[0], THREADS * STACK_SIZE);
    fork_and_check(ranges, THREADS * STACK_SIZE, 1);
}

static void unmap_and_malloc(void)
{
    enum { LARGE = 256 << 10 };
    for (int i = 0; i < THREADS; i++)
        MUST(munmap(stacks[i], STACK_SIZE) == 0);
    for (int i = 0; i < THREADS; i++) {
        MUST((ranges[i] = malloc(LARGE)));
        fill(ranges[i], LARGE);
    }
    fork_and_check(ranges, LARGE, THREADS);
}

// Bypasses every hook: neither munmap nor mmap goes through libc.
static void unmap_and_map_unseen(void)
{
    for (int i = 0; i < THREADS; i++) {
        MUST(raw_call(SYS_munmap, (long)stacks[i], STACK_SIZE, 0, 0) == 0);
        ranges[i] = raw_map(stacks[i], STACK_SIZE);
        MUST(ranges[i] == stacks[i]);
        fill(ranges[i], STACK_SIZE);
    }
    fork_and_check(ranges, STACK_SIZE, THREADS);
}

static void unmapped_and_mapped(void) { map_stacks(); with_threads(stacks, unmap_and_map); }
static void unmapped_and_mapped_larger(void) { map_stacks(); with_threads(stacks, unmap_and_map_larger); }
static void unmapped_and_malloced(void) { map_stacks(); with_threads(stacks, unmap_and_malloc); }
static void unmapped_and_mapped_unseen(void) { map_stacks(); with_threads(stacks, unmap_and_map_unseen); }

// Threads that ended with their stacks registered; their memory is used for something else.
static void check_after_threads(void)
{
    for (int i = 0; i < THREADS; i++)
        fill(stacks[i], STACK_SIZE);
    fork_and_check(stacks, STACK_SIZE, THREADS);
}

static void nothing(void) {}

static void after_threads(void)
{
    map_stacks();
    with_threads(stacks, nothing);
    check_after_threads();
}

// The forking thread's own stack: forks from the ordinary stack, and from a handler on
// the alternate one. In a child that lacks these threads, their stacks are memory like
// any other.
enum { MANY = 100 };
static char *many[MANY];
static int used;

static void use_in_child(void)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        for (int i = 0; i < used; i++)
            fill(many[i], STACK_SIZE);
        fork_and_check(many, STACK_SIZE, used);
        fflush(stdout);
        _exit(0);
    }
    MUST(waitpid(child, &status, 0) == child && status == 0);
}

static void used_in_child(int threads)
{
    used = threads;
    for (int i = 0; i < threads; i++)
        many[i] = plain_pages(STACK_SIZE);
    with_some_threads(threads, many, use_in_child);
}

static void few_used_in_child(void) { used_in_child(THREADS); }
static void many_used_in_child(void) { used_in_child(MANY); }

static void own(void)
{
    char *stack = plain_pages(STACK_SIZE);
    warm_up(stack, STACK_SIZE);
    fill(stack, STACK_SIZE);
    fork_and_check(&stack, STACK_SIZE, 1);
}

// Half of it was never used and need not be copied; the other half must be.
static void own_half_used(void)
{
    char *stack = plain_pages(STACK_SIZE), *used = stack + STACK_SIZE / 2;
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    fill(used, STACK_SIZE / 2);
    fork_and_check(&used, STACK_SIZE / 2, 1);
}

static char *own_stack;

static void fork_in_handler(int signal)
{
    volatile char local[2 * PAGE];
    (void)signal;
    fill((char *)local, sizeof local);
    char *parts[] = {(char *)local};
    fork_and_check(parts, sizeof local, 1);
    parts[0] = own_stack;
    fill(own_stack, 4 * PAGE);
    fork_and_check(parts, 4 * PAGE, 1);
}

static void in_a_handler(void)
{
    own_stack = plain_pages(STACK_SIZE);
    MUST(set_altstack(own_stack, STACK_SIZE) == 0);
    on_signal(SIGUSR1, fork_in_handler, SA_ONSTACK);
    MUST(raise(SIGUSR1) == 0);
}

static void check_underfoot(void) { fork_and_check(stacks, 4 * PAGE, 1); }

static void fork_on_anothers(void)
{
    fill(stacks[0], 4 * PAGE);
    stand_on(stacks[0] + STACK_SIZE, check_underfoot);
}

// As with a scheduler of coroutines: this thread's frames are on a stack that another thread set.
static void on_anothers(void)
{
    map_stacks();
    with_threads(stacks, fork_on_anothers);
}

// Another thread's local variables and thread-specific data: ordinary stacks are always copied.
static char *locals[THREADS];
static __thread char own_data[3 * PAGE];
static char *data[THREADS];

static void *holds_locals(void *argument)
{
    long index = (long)argument;
    char local[5 * PAGE];
    fill(local, sizeof local);
    fill(own_data, sizeof own_data);
    locals[index] = local;
    data[index] = own_data;
    pthread_barrier_wait(&set);
    pthread_barrier_wait(&asked);
    return NULL;
}

static void ordinary(void)
{
    pthread_t ids[THREADS];
    // They are held only if there is a handler that can run there.
    on_signal(SIGUSR1, count, 0);
    pthread_barrier_init(&set, NULL, THREADS + 1);
    pthread_barrier_init(&asked, NULL, THREADS + 1);
    for (long i = 0; i < THREADS; i++)
        MUST(pthread_create(&ids[i], NULL, holds_locals, (void *)i) == 0);
    pthread_barrier_wait(&set);
    fork_and_check(locals, 5 * PAGE, THREADS);
    fork_and_check(data, sizeof own_data, THREADS);
    pthread_barrier_wait(&asked);
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_join(ids[i], NULL) == 0);
}

extern char **environ;

static void *forks_here(void *unused)
{
    (void)unused;
    pid_t child = fork();
    int status;
    MUST(child >= 0);
    if (child == 0)
        _exit(!getenv("MARK") || strcmp(getenv("MARK"), "kept") != 0 || !environ[0]);
    MUST(waitpid(child, &status, 0) == child);
    printf("environment: %s\n", status == 0 ? "kept" : "lost");
    return NULL;
}

// Main's stack contains the environment; another thread forks.
static void environment(void)
{
    pthread_t id;
    char mark[] = "MARK=kept";
    MUST(putenv(mark) == 0);
    on_signal(SIGUSR1, count, 0);
    MUST(pthread_create(&id, NULL, forks_here, NULL) == 0 && pthread_join(id, NULL) == 0);
}

// The program's own advice, before and after registering, is obeyed: zeroes, or no memory at all.
static int advice, before;

static void check_advised(void)
{
    int status;
    if (!before)
        for (int i = 0; i < THREADS; i++)
            REPORT(madvise(stacks[i], STACK_SIZE, advice));
    for (int i = 0; i < THREADS; i++)
        fill(stacks[i], STACK_SIZE);
    for (int generation = 0; generation < 2; generation++) {
        fflush(stdout);
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) {
            long zeroes = 0, there = 0;
            unsigned char map[STACK_SIZE / PAGE];
            for (int i = 0; i < THREADS; i++) {
                if (mincore(stacks[i], STACK_SIZE, map) != 0)
                    continue;
                there++;
                for (size_t k = 0; k < STACK_SIZE; k++)
                    zeroes += stacks[i][k] == 0;
            }
            printf("child: %ld there, %ld zeroes\n", there, zeroes);
            fflush(stdout);
            // The child has the flag too: its own child finds the same.
            for (int i = 0; i < THREADS && there; i++)
                fill(stacks[i], STACK_SIZE);
            pid_t grandchild = fork();
            if (grandchild == 0 && there) {
                for (int i = 0; i < THREADS; i++)
                    for (size_t k = 0; k < STACK_SIZE; k++)
                        MUST(stacks[i][k] == (advice == MADV_WIPEONFORK ? 0 : expected(k)));
            }
            if (grandchild != 0)
                MUST(waitpid(grandchild, &status, 0) == grandchild && status == 0);
            _exit(0);
        }
        MUST(waitpid(child, &status, 0) == child && status == 0);
    }
    printf("parent: %ld wrong\n", wrong(stacks[0], STACK_SIZE));
}

static void advised(int what, int when)
{
    advice = what;
    before = when;
    map_stacks();
    if (before)
        for (int i = 0; i < THREADS; i++)
            REPORT(madvise(stacks[i], STACK_SIZE, advice));
    with_threads(stacks, check_advised);
}

static void wiped_before(void) { advised(MADV_WIPEONFORK, 1); }
static void wiped_after(void) { advised(MADV_WIPEONFORK, 0); }
static void left_out_before(void) { advised(MADV_DONTFORK, 1); }
static void left_out_after(void) { advised(MADV_DONTFORK, 0); }

int main(int argc, char **argv)
{
    static const struct scenario all[] = {
        {"heap", heap},
        {"heap-neighbours", heap_neighbours},
        {"freed-and-reused", freed_and_reused},
        {"large-freed-and-reused", large_freed_and_reused},
        {"unmapped-and-mapped", unmapped_and_mapped},
        {"unmapped-and-mapped-larger", unmapped_and_mapped_larger},
        {"unmapped-and-malloced", unmapped_and_malloced},
        {"unmapped-and-mapped-unseen", unmapped_and_mapped_unseen},
        {"after-threads", after_threads},
        {"few-used-in-child", few_used_in_child},
        {"many-used-in-child", many_used_in_child},
        {"own", own},
        {"own-half-used", own_half_used},
        {"in-a-handler", in_a_handler},
        {"on-anothers", on_anothers},
        {"ordinary", ordinary},
        {"environment", environment},
        {"wiped-before", wiped_before},
        {"wiped-after", wiped_after},
        {"left-out-before", left_out_before},
        {"left-out-after", left_out_after},
        {NULL, NULL},
    };
    return run_scenario(argc, argv, all);
}
