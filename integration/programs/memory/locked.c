// The program's own memory locks before, over and around its stack. It prints the program's view
// after the stack is released: the same with and without the library. Lines that begin with "held"
// show what is locked while the stack exists, which may include our locks.
#include <sys/ipc.h>
#include <sys/shm.h>
#include "scenario.h"

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

enum { BLOCK = 64 * PAGE };

static char *region, *stack;

static void get_region(void)
{
    region = plain_pages(3 * STACK_SIZE);
    stack = region + STACK_SIZE;
    on_signal(SIGUSR2, count, SA_ONSTACK);
}

static void register_stack(void)
{
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    deliver();
}

static void held(const char *when) { printf("held %s: %ld\n", when, locked_pages(stack, STACK_SIZE)); }

// What the program locked must be locked, and nothing else.
static void release(const char *when)
{
    MUST(drop_altstack() == 0);
    printf("%s: below %ld, stack %ld, above %ld\n", when, locked_pages(region, STACK_SIZE),
           locked_pages(stack, STACK_SIZE), locked_pages(stack + STACK_SIZE, STACK_SIZE));
}

static void none(void)
{
    get_region();
    register_stack();
    held("registered");
    release("released");
}

static void before(void)
{
    get_region();
    REPORT(mlock(region, 2 * STACK_SIZE));
    register_stack();
    held("registered");
    release("released");
}

static void before_in_part(void)
{
    get_region();
    REPORT(mlock(stack + STACK_SIZE / 2, STACK_SIZE));
    register_stack();
    held("registered");
    release("released");
}

static void after(void)
{
    get_region();
    register_stack();
    REPORT(mlock(stack, 2 * STACK_SIZE));
    held("locked");
    release("released");
}

static void after_in_part(void)
{
    get_region();
    register_stack();
    REPORT(mlock(stack + 3 * PAGE, 2 * PAGE));
    held("locked");
    release("released");
}

static void on_fault(void)
{
    get_region();
    register_stack();
    REPORT(mlock2(region, 3 * STACK_SIZE, MLOCK_ONFAULT));
    held("locked");
    release("released");
}

static void all_current(void)
{
    get_region();
    register_stack();
    REPORT(mlockall(MCL_CURRENT));
    held("locked");
    release("released");
}

static void all_future(void)
{
    REPORT(mlockall(MCL_FUTURE));
    get_region();
    register_stack();
    held("registered");
    release("released");
}

static void all_future_then_none(void)
{
    REPORT(mlockall(MCL_CURRENT | MCL_FUTURE));
    get_region();
    register_stack();
    REPORT(munlockall());
    held("unlocked");
    deliver();
    release("released");
}

static void unlocked(void)
{
    get_region();
    REPORT(mlock(region, 3 * STACK_SIZE));
    register_stack();
    REPORT(munlock(region, 3 * STACK_SIZE));
    held("unlocked");
    deliver();
    release("released");
}

static void unlocked_in_part(void)
{
    get_region();
    register_stack();
    REPORT(mlock(region, 3 * STACK_SIZE));
    REPORT(munlock(stack + STACK_SIZE / 2, STACK_SIZE));
    held("unlocked");
    release("released");
}

static void refused(void)
{
    get_region();
    register_stack();
    MUST(munmap(region, PAGE) == 0);
    REPORT(mlock(region, 3 * STACK_SIZE));
    REPORT(munlock(region, 3 * STACK_SIZE));
    REPORT(mlockall(4711));
    REPORT(mlock2(stack, STACK_SIZE, 4711));
    held("afterwards");
    deliver();
    release("released");
}

// The memory that replaced the stack belongs to the program.
static void replaced(void)
{
    get_region();
    register_stack();
    REPORT(mlock(stack, STACK_SIZE));
    MUST(mmap(stack, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
              0) == stack);
    held("replaced");
    deliver();
    release("released");
}

static void locked_by_mmap(void)
{
    get_region();
    register_stack();
    MUST(mmap(stack, STACK_SIZE, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_LOCKED, -1, 0) == stack);
    deliver();
    release("released");
}

// The stack is gone, and libc has mapped memory in its place that the kernel locks because of
// mlockall(2). Releasing the stack must not unlock that.
static void locked_in_its_place(void)
{
    REPORT(mlockall(MCL_FUTURE));
    // Larger than what malloc takes from its heap.
    char *block = malloc(BLOCK - PAGE);
    MUST(block);
    printf("in its place: %d, locked %ld\n", block > stack - PAGE && block < stack + PAGE, locked_pages(block, BLOCK - PAGE));
    MUST(drop_altstack() == 0);
    printf("given up: locked %ld\n", locked_pages(block, BLOCK - PAGE));
}

static void unmapped_then_others(void)
{
    on_signal(SIGUSR2, count, SA_ONSTACK);
    stack = plain_pages(BLOCK);
    MUST(set_altstack(stack, BLOCK) == 0);
    deliver();
    REPORT(munmap(stack, BLOCK));
    locked_in_its_place();
}

static void detached_then_others(void)
{
    on_signal(SIGUSR2, count, SA_ONSTACK);
    int id = shmget(IPC_PRIVATE, BLOCK, IPC_CREAT | 0600);
    MUST(id >= 0);
    stack = shmat(id, NULL, 0);
    MUST(stack != (void *)-1 && shmctl(id, IPC_RMID, NULL) == 0);
    MUST(set_altstack(stack, BLOCK) == 0);
    deliver();
    REPORT(shmdt(stack));
    locked_in_its_place();
}

// The program gets the whole limit if it asks. To be run without CAP_IPC_LOCK.
static void whole_limit(void)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    char *own = plain_pages(2 * limit.rlim_cur);
    get_region();
    register_stack();
    held("registered");
    REPORT(mlock(own, limit.rlim_cur));
    held("asked for all");
    deliver();
    REPORT(mlock(own, limit.rlim_cur + PAGE));
    REPORT(munlock(own, limit.rlim_cur));
    held("unlocked again");
    deliver();
    release("released");
}

static void whole_limit_by_mmap(void)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    get_region();
    register_stack();
    errno = 0;
    char *own = mmap(NULL, limit.rlim_cur, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
    report("mmap", own == MAP_FAILED ? -1 : 1);
    REPORT(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0));
    held("asked for all");
    deliver();
    REPORT(munmap(own, limit.rlim_cur));
    release("released");
}

// Everything mapped later counts too.
static void whole_limit_for_the_future(void)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    get_region();
    register_stack();
    REPORT(mlockall(MCL_FUTURE));
    errno = 0;
    char *own = mmap(NULL, limit.rlim_cur, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    report("mmap", own == MAP_FAILED ? -1 : 1);
    deliver();
    MUST(drop_altstack() == 0);
}

// The heap counts as well, also through syscall(2), where the kernel's own result must be
// returned.
static void whole_limit_for_the_heap(void)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    char *end = sbrk(0);
    if (sbrk(PAGE) == (void *)-1)
        not_here();
    MUST(brk(end) == 0);
    get_region();
    register_stack();
    REPORT(mlockall(MCL_FUTURE));
    REPORT(sbrk(limit.rlim_cur));
    deliver();
    MUST(brk(end) == 0);
    REPORT(brk(end + limit.rlim_cur));
    deliver();
    REPORT(sbrk(PAGE));
    MUST(brk(end) == 0);
    REPORT(syscall(SYS_brk, end + limit.rlim_cur) == (long)(end + limit.rlim_cur) ? 0 : -1);
    MUST(syscall(SYS_brk, end) == (long)end);
    MUST(drop_altstack() == 0);
}

int main(int argc, char **argv)
{
    static const struct scenario all[] = {
        {"none", none},
        {"before", before},
        {"before-in-part", before_in_part},
        {"after", after},
        {"after-in-part", after_in_part},
        {"on-fault", on_fault},
        {"all-current", all_current},
        {"all-future", all_future},
        {"all-future-then-none", all_future_then_none},
        {"unlocked", unlocked},
        {"unlocked-in-part", unlocked_in_part},
        {"refused", refused},
        {"replaced", replaced},
        {"locked-by-mmap", locked_by_mmap},
        {"unmapped-then-others", unmapped_then_others},
        {"detached-then-others", detached_then_others},
        {"whole-limit", whole_limit},
        {"whole-limit-by-mmap", whole_limit_by_mmap},
        {"whole-limit-for-the-future", whole_limit_for_the_future},
        {"whole-limit-for-the-heap", whole_limit_for_the_heap},
        {NULL, NULL},
    };
    return run_scenario(argc, argv, all);
}
