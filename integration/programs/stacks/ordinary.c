// Handlers without SA_ONSTACK: their frames lie on the thread's own stack, below everything used so
// far.
// build: -fno-stack-clash-protection
// only: x86
#include <limits.h>
#include <threads.h>
#include "scenario.h"

static const size_t KIB = 1024;

static char **arguments;

static void at_depths(size_t deepest)
{
    static const size_t depths[] = {0, 4096, 8192, 12288, 16384, 24576, 30720};
    for (unsigned i = 0; i < sizeof depths / sizeof *depths && depths[i] <= deepest; i++)
        deliver_deep(depths[i]);
}

static void handle(void) { on_signal(SIGUSR2, count, 0); }

static void in_main(void)
{
    handle();
    at_depths(30 * KIB);
}

// The pages are neither present nor locked.
static void report_untouched(const char *name, char *from, size_t size)
{
    printf("%s: %ld of %lu pages resident, %ld locked\n", name, resident_pages(from, size), (unsigned long)(size / PAGE),
           locked_pages(from, size));
}

static size_t deepest;

static void *thread(void *unused)
{
    (void)unused;
    at_depths(deepest);
#ifdef __GLIBC__
    pthread_attr_t own;
    size_t guard, size;
    void *lowest;
    MUST(pthread_getattr_np(pthread_self(), &own) == 0);
    MUST(pthread_attr_getguardsize(&own, &guard) == 0);
    MUST(pthread_attr_getstack(&own, &lowest, &size) == 0);
    MUST(pthread_attr_destroy(&own) == 0);
    // For a stack that the program provides, the guard size has no effect.
    if (deepest && guard && mprotect((char *)lowest - guard, guard, PROT_NONE) == 0)
        report_untouched("guard", (char *)lowest - guard, guard);
#endif
    return "done";
}

static void run_thread(pthread_attr_t *attributes)
{
    pthread_t id;
    void *result;
    handle();
    MUST(pthread_create(&id, attributes, thread, NULL) == 0);
    MUST(pthread_join(id, &result) == 0);
    puts(result);
}

static void in_a_thread(void)
{
    deepest = 30 * KIB;
    run_thread(NULL);
}

static void sized(size_t size, size_t guard, size_t usable)
{
    pthread_attr_t attributes;
    MUST(pthread_attr_init(&attributes) == 0);
    MUST(pthread_attr_setstacksize(&attributes, size) == 0);
    MUST(pthread_attr_setguardsize(&attributes, guard) == 0);
    deepest = usable;
    run_thread(&attributes);
    MUST(pthread_attr_destroy(&attributes) == 0);
}

// musl allows stacks that are too small for a frame.
static size_t smallest_for_a_frame(void)
{
    size_t least = PTHREAD_STACK_MIN;
    return least < 16 * KIB ? 16 * KIB : least;
}

static void smallest(void) { sized(smallest_for_a_frame(), PAGE, 0); }
static void smallest_without_guard(void) { sized(smallest_for_a_frame(), 0, 0); }
static void without_guard(void) { sized(256 * KIB, 0, 30 * KIB); }
static void large_guard(void) { sized(512 * KIB, 256 * KIB, 30 * KIB); }
static void huge(void) { sized(1024 * 1024 * KIB, PAGE, 30 * KIB); }

static void *returns(void *unused) { return unused; }

// The smallest stack that libc allows, for a thread that does nothing.
static void tiny(void)
{
    pthread_attr_t attributes;
    pthread_t id;
    MUST(pthread_attr_init(&attributes) == 0);
    MUST(pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN) == 0);
    for (int i = 0; i < 20; i++) {
        MUST(pthread_create(&id, &attributes, returns, NULL) == 0);
        MUST(pthread_join(id, NULL) == 0);
    }
    // A stack that the program provides, in the middle of its own memory.
    size_t size = PTHREAD_STACK_MIN;
    char *block = fresh_pages(4 * PAGE + size);
    memset(block, 5, 4 * PAGE + size);
    MUST(pthread_attr_setstack(&attributes, block + 2 * PAGE, size) == 0);
    MUST(pthread_create(&id, &attributes, returns, NULL) == 0);
    MUST(pthread_join(id, NULL) == 0);
    for (size_t i = 0; i < 2 * PAGE; i++)
        MUST(block[i] == 5 && block[2 * PAGE + size + i] == 5);
    handle();
    deliver_deep(0);
}

// A stack that the program provides: the memory below does not belong to the thread.
static void given(size_t size, size_t usable)
{
    char *block = mmap(NULL, size + 32 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(block != MAP_FAILED);
    char *stack = block + 16 * PAGE;
    // Below the stack is memory of the program that was never touched.
    MUST(mprotect(block, size + 16 * PAGE, PROT_READ | PROT_WRITE) == 0);
    pthread_attr_t attributes;
    MUST(pthread_attr_init(&attributes) == 0);
    MUST(pthread_attr_setstack(&attributes, stack, size) == 0);
    deepest = usable;
    handle();
    pthread_t id;
    MUST(pthread_create(&id, &attributes, thread, NULL) == 0);
    MUST(pthread_join(id, NULL) == 0);
    report_untouched("below", block, 16 * PAGE);
    report_untouched("above", stack + size, 16 * PAGE);
    printf("stack: %ld locked\n", locked_pages(stack, size));
    MUST(munmap(block, size + 32 * PAGE) == 0);
}

static void given_smallest(void) { given(smallest_for_a_frame(), 0); }
static void given_large(void) { given(1024 * KIB, 30 * KIB); }

static int c11_thread(void *depth)
{
    // musl starts such a thread with all signals blocked.
    sigset_t none;
    sigemptyset(&none);
    MUST(pthread_sigmask(SIG_SETMASK, &none, NULL) == 0);
    at_depths((size_t)depth);
    return 7;
}

static void by_thrd_create(void)
{
    thrd_t id;
    int result;
    handle();
    MUST(thrd_create(&id, c11_thread, (void *)(30 * KIB)) == thrd_success);
    MUST(thrd_join(id, &result) == thrd_success);
    printf("result: %d\n", result);
}

static void *exits(void *unused)
{
    at_depths(8 * KIB);
    pthread_exit(unused);
}

static void *waits(void *unused)
{
    at_depths(8 * KIB);
    for (;;)
        pause();
    return unused;
}

// Ways to end a thread that unwind its stack up to the start.
static void unwound(void)
{
    pthread_t id;
    void *result;
    handle();
    MUST(pthread_create(&id, NULL, exits, &deepest) == 0);
    MUST(pthread_join(id, &result) == 0 && result == &deepest);
    MUST(pthread_create(&id, NULL, waits, NULL) == 0);
    while (measured_so_far() < 6)
        usleep(100);
    MUST(pthread_cancel(id) == 0);
    MUST(pthread_join(id, &result) == 0);
    printf("canceled: %d\n", result == PTHREAD_CANCELED);
}

static void many_at_once(void)
{
    enum { MANY = 300 };
    static pthread_t ids[MANY];
    deepest = 0;
    handle();
    for (int i = 0; i < MANY; i++)
        MUST(pthread_create(&ids[i], NULL, exits, NULL) == 0);
    for (int i = 0; i < MANY; i++)
        MUST(pthread_join(ids[i], NULL) == 0);
}

static void refused(void)
{
    pthread_t id;
    struct rlimit tiny = {1 << 20, 1 << 20};
    MUST(setrlimit(RLIMIT_AS, &tiny) == 0);
    errno = 0;
    for (int i = 0; i < 1000; i++) {
        int error = pthread_create(&id, NULL, exits, NULL);
        if (i == 999)
            printf("pthread_create: %s, errno %d\n", strerror(error), errno);
    }
    handle();
    deliver_deep(0);
}

// The stack grows up to its limit, whatever part of it is locked.
__attribute__((noinline)) static long use_stack(long kib)
{
    volatile char some[1024];
    some[0] = some[1023] = (char)kib;
    return kib == 0 ? 0 : use_stack(kib - 1) + (some[0] == (char)kib);
}

static void main_grows(void)
{
    handle();
    at_depths(8 * KIB);
    // Becomes a user whose locks are limited.
    if (geteuid() == 0)
        MUST(setuid(65534) == 0);
    struct rlimit tight = {64 * KIB, 64 * KIB};
    MUST(setrlimit(RLIMIT_MEMLOCK, &tight) == 0);
    printf("frames: %ld\n", use_stack(6000));
    deliver_deep(0);
}

// Ways to install a handler while threads already run.
static void by_signal(void) { MUST(signal(SIGUSR2, count) != SIG_ERR); }

struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

#ifdef __i386__
// The kernel brings its own way back.
static const struct kernel_action past_sigaction = {count, 0, NULL, 0};
#else
__asm__("restore: mov $15, %eax\n syscall");
void restore(void);

static const struct kernel_action past_sigaction = {count, 0x04000000, restore, 0};
#endif

static void by_syscall(void)
{
    MUST(syscall(SYS_rt_sigaction, SIGUSR2, &past_sigaction, NULL, 8) == 0);
}

static void by_instruction(void)
{
    MUST(raw_call(SYS_rt_sigaction, SIGUSR2, (long)&past_sigaction, 0, 8) == 0);
}

static void on_alternate(void) { on_signal(SIGUSR2, count, SA_ONSTACK); }

static void main_by_signal(void) { by_signal(); at_depths(30 * KIB); }
static void main_by_syscall(void) { by_syscall(); at_depths(30 * KIB); }
static void main_without_alternate(void) { on_alternate(); at_depths(30 * KIB); }

// What main has on its stack by then must not change.
static void main_late(void)
{
    char live[12 * 1024], copy[sizeof live];
    for (size_t i = 0; i < sizeof live; i++)
        copy[i] = live[i] = (char)(i * 7 + i / PAGE + 1);
    // Keeps the compiler from assuming that nothing else changes them.
    __asm__ volatile("" : : "r"(live), "r"(copy) : "memory");
    handle();
    deliver_deep(0);
    deliver_deep(4 * KIB);
    printf("changed: %d\n", memcmp(live, copy, sizeof live));
}

static pthread_barrier_t turn;

static void *waits_for_handler(void *unused)
{
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
    at_depths(30 * KIB);
    return unused;
}

static void late(void (*install)(void))
{
    pthread_t id;
    pthread_barrier_init(&turn, NULL, 2);
    MUST(pthread_create(&id, NULL, waits_for_handler, NULL) == 0);
    pthread_barrier_wait(&turn);
    install();
    pthread_barrier_wait(&turn);
    MUST(pthread_join(id, NULL) == 0);
}

static void thread_late(void) { late(handle); }
static void thread_late_by_signal(void) { late(by_signal); }
static void thread_late_without_alternate(void) { late(on_alternate); }

static void *drops_alternate(void *stack)
{
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    MUST(drop_altstack() == 0);
    at_depths(30 * KIB);
    return NULL;
}

static void thread_disables(void)
{
    pthread_t id;
    on_alternate();
    MUST(pthread_create(&id, NULL, drops_alternate, plain_pages(STACK_SIZE)) == 0);
    MUST(pthread_join(id, NULL) == 0);
}

// Nothing can see this handler being installed. It is found when threads start.
static void thread_past_libc(void)
{
    pthread_t id;
    by_instruction();
    for (int i = 0; i < 20; i++) {
        MUST(pthread_create(&id, NULL, returns, NULL) == 0);
        MUST(pthread_join(id, NULL) == 0);
    }
    deepest = 30 * KIB;
    MUST(pthread_create(&id, NULL, thread, NULL) == 0);
    MUST(pthread_join(id, NULL) == 0);
}

// Pages of a thread's stack from 12 to 36 KiB below its frame, and what the kernel says about the
// stack.
static void *report_stack(void *stack)
{
    if (stack)
        MUST(set_altstack(stack, STACK_SIZE) == 0);
    char *here = (char *)((uintptr_t)__builtin_frame_address(0) & ~(PAGE - 1));
    printf("held: %ld present, %ld locked\n", present_pages(here - 36 * KIB, 24 * KIB),
           locked_pages(here - 36 * KIB, 24 * KIB));
    return NULL;
}

static void report_from_thread(void *stack)
{
    pthread_t id;
    MUST(pthread_create(&id, NULL, report_stack, stack) == 0);
    MUST(pthread_join(id, NULL) == 0);
}

static void *sleeps(void *unused)
{
    pause();
    return unused;
}

static void report_without_handler(void)
{
    pthread_t id;
    // libc's own handlers do not count: this makes libc install one.
    MUST(pthread_create(&id, NULL, sleeps, NULL) == 0);
    MUST(pthread_cancel(id) == 0);
    MUST(pthread_join(id, NULL) == 0);
    MUST(signal(SIGUSR1, SIG_IGN) == SIG_DFL);
    on_signal(SIGUSR2, SIG_DFL, 0);
    for (int i = 0; i < 20; i++)
        report_from_thread(NULL);
}

static void report_with_handler(void) { handle(); report_from_thread(NULL); }

// RLIMIT_STACK applies from exec on.
static void with_limit(rlim_t limit)
{
    struct rlimit now;
    MUST(getrlimit(RLIMIT_STACK, &now) == 0);
    if (now.rlim_cur != limit) {
        now.rlim_cur = limit;
        if (setrlimit(RLIMIT_STACK, &now) != 0)
            not_here();
        execv("/proc/self/exe", arguments);
        exit(97);
    }
    in_main();
}

static void limit_small(void) { with_limit(128 * KIB); }
static void limit_huge(void)
{
    if (sizeof(rlim_t) < 8)
        not_here();
    with_limit((rlim_t)(64ULL << 30));
}
static void limit_none(void) { with_limit(RLIM_INFINITY); }

int main(int argc, char **argv)
{
    static const struct scenario all[] = {
        {"main", in_main},
        {"main-grows", main_grows},
        {"main-by-signal", main_by_signal},
        {"main-by-syscall", main_by_syscall},
        {"main-without-alternate", main_without_alternate},
        {"main-late", main_late},
        {"thread-late", thread_late},
        {"thread-late-by-signal", thread_late_by_signal},
        {"thread-late-without-alternate", thread_late_without_alternate},
        {"thread-disables", thread_disables},
        {"thread-past-libc", thread_past_libc},
        {"report-without-handler", report_without_handler},
        {"report-with-handler", report_with_handler},
        {"limit-small", limit_small},
        {"limit-huge", limit_huge},
        {"limit-none", limit_none},
        {"thread", in_a_thread},
        {"thread-smallest", smallest},
        {"thread-smallest-without-guard", smallest_without_guard},
        {"thread-tiny", tiny},
        {"thread-without-guard", without_guard},
        {"thread-large-guard", large_guard},
        {"thread-huge", huge},
        {"thread-given-smallest", given_smallest},
        {"thread-given", given_large},
        {"thread-by-thrd-create", by_thrd_create},
        {"thread-unwound", unwound},
        {"threads-many", many_at_once},
        {"threads-refused", refused},
        {NULL, NULL},
    };
    arguments = argv;
    return run_scenario(argc, argv, all);
}
