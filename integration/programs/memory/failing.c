// Memory calls that fail by themselves, or concern no stack, while stacks of other threads are
// held. To be run without CAP_IPC_LOCK, with room for little more than the stacks.
// compared: elsewhere
#include <sys/uio.h>
#include "scenario.h"

enum { THREADS = 4, TIMES = 10 };

static struct worker workers[THREADS];
static struct rlimit limit;
static char *own;

static void start_between_stacks(void)
{
    MUST(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    own = plain_pages(4 * limit.rlim_cur);
    for (int i = 0; i < THREADS; i++)
        start_worker(&workers[i], plain_pages(STACK_SIZE), 0);
}

static void end(void)
{
    for (int i = 0; i < THREADS; i++)
        end_worker(&workers[i]);
}

#define OFTEN(call)                     \
    for (int i = 0; i < TIMES; i++)     \
        REPORT(call)

static void hole(void)
{
    start_between_stacks();
    MUST(munmap(own + PAGE, PAGE) == 0);
    OFTEN(mlock(own, 3 * PAGE));
    OFTEN(mlock(own + PAGE, PAGE));
    OFTEN(mlock2(own + PAGE, PAGE, 0));
    end();
}

static void no_access(void)
{
    start_between_stacks();
    MUST(mprotect(own, PAGE, PROT_NONE) == 0);
    OFTEN(mlock(own, PAGE));
    end();
}

static void too_much(void)
{
    start_between_stacks();
    OFTEN(mlock(own, limit.rlim_cur + PAGE));
    OFTEN(mlock(own, SIZE_MAX - 2 * PAGE));
    OFTEN(mlockall(MCL_CURRENT));
    OFTEN(mlockall(4711));
    OFTEN(mmap(NULL, limit.rlim_cur + PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) ==
                  MAP_FAILED
              ? -1
              : 0);
    end();
}

// Calls over the stacks themselves that cannot succeed.
static void refused(void)
{
    start_between_stacks();
    char *stack = workers[0].stack;
    OFTEN(munmap(stack + 1, STACK_SIZE));
    OFTEN(munmap(stack, 0));
    OFTEN((long)mmap(stack + 1, STACK_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    OFTEN((long)mremap(stack + 1, STACK_SIZE, 2 * STACK_SIZE, MREMAP_MAYMOVE));
    OFTEN((long)mremap(own, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, stack + 1));
    end();
}

static long process_advise(int process, const struct iovec *vectors, size_t count, int flags)
{
    return syscall(SYS_process_madvise, process, vectors, count, 20 /* MADV_COLD */, flags);
}

// On memory that has nothing to do with the stacks, or with invalid processes or vectors.
static void by_vector(void)
{
    start_between_stacks();
    int self = syscall(SYS_pidfd_open, getpid(), 0);
    struct iovec vectors[1025];
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        vectors[i] = (struct iovec){own + i % 8 * PAGE, PAGE};
    if (self < 0 || process_advise(self, vectors, 1, 0) < 0)
        not_here();
    OFTEN(process_advise(self, vectors, 1024, 0));
    OFTEN(process_advise(self, vectors, 1025, 0));
    vectors[9] = (struct iovec){workers[0].stack, STACK_SIZE};
    OFTEN(process_advise(self, vectors, 10, 4711));
    OFTEN(process_advise(-1, vectors, 10, 0));
    OFTEN(process_advise(self, (struct iovec *)8, 10, 0));
    end();
}

// Here the limit is the reason, and the program gets what it asks for.
static void whole_limit(void)
{
    start_between_stacks();
    REPORT(mlock(own, limit.rlim_cur));
    end();
}

// Ten vectors; the last ones cover stacks.
static void by_vector_on_stacks(void)
{
    start_between_stacks();
    int self = syscall(SYS_pidfd_open, getpid(), 0);
    struct iovec vectors[20];
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        vectors[i] = (struct iovec){i % 5 == 4 ? workers[i / 5].stack : own, PAGE};
    if (self < 0 || process_advise(self, vectors, 1, 0) < 0)
        not_here();
    REPORT(process_advise(self, vectors, 20, 0));
    for (int i = 0; i < THREADS; i++)
        printf("held %ld\n", locked_pages(workers[i].stack, STACK_SIZE));
    end();
}

int main(int argc, char **argv)
{
    static const struct scenario all[] = {
        {"hole", hole},
        {"no-access", no_access},
        {"too-much", too_much},
        {"refused", refused},
        {"by-vector", by_vector},
        {"whole-limit", whole_limit},
        {"by-vector-on-stacks", by_vector_on_stacks},
        {NULL, NULL},
    };
    return run_scenario(argc, argv, all);
}
