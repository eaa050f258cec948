// The program's own memory calls over, on and around a stack that has been used. It prints what the
// calls return and what the memory then contains: the same with and without the library.
// build: -ldl
// only: x86
#include <dlfcn.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/uio.h>
#include "scenario.h"

#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

enum { MIDDLE = 5 };

static char *stack;
// The memory around the stack: a stack's size below and above.
static char *region;

// Repeats what is to evict the stack until it is gone: the kernel skips pages that it is busy with.
// With the library they stay.
static void until_evicted(void (*evict)(void))
{
    unsigned char present[STACK_SIZE / PAGE];
    for (int i = 0; i < 40; i++) {
        MUST(mincore(stack, STACK_SIZE, present) == 0);
        int some = 0;
        for (size_t page = 0; page < sizeof present; page++)
            some |= present[page] & 1;
        if (!some)
            break;
        usleep(500);
        evict();
    }
}

static void start_on(char *pages)
{
    stack = pages;
    warm_up(stack, STACK_SIZE);
}

static void start(void) { start_on(plain_pages(STACK_SIZE)); }

static void start_in_middle(void)
{
    region = plain_pages(3 * STACK_SIZE);
    memset(region, 1, STACK_SIZE);
    memset(region + 2 * STACK_SIZE, 1, STACK_SIZE);
    start_on(region + STACK_SIZE);
}

// Counts the bytes of the range that are not `value`.
static void report_bytes(const char *name, const char *from, size_t size, char value)
{
    long others = 0;
    for (size_t i = 0; i < size; i++)
        others += from[i] != value;
    printf("%s: %ld bytes are not %d\n", name, others, value);
    fflush(stdout);
}

static void after(void)
{
    deliver();
    deliver();
}

static void dontneed(void)
{
    start();
    stack[MIDDLE] = 7;
    REPORT(madvise(stack, STACK_SIZE, MADV_DONTNEED));
    report_bytes("stack", stack, STACK_SIZE - 4 * PAGE, 0);
    after();
}

static void dontneed_all_zero(void)
{
    start();
    REPORT(madvise(stack, STACK_SIZE, MADV_DONTNEED));
    deliver();
    // Including what the first frame left.
    REPORT(madvise(stack, STACK_SIZE, MADV_DONTNEED));
    after();
    REPORT(madvise(stack, STACK_SIZE, MADV_DONTNEED));
    report_bytes("stack", stack, STACK_SIZE, 0);
}

static void dontneed_around(void)
{
    start_in_middle();
    REPORT(madvise(region, 3 * STACK_SIZE, MADV_DONTNEED));
    after();
    report_bytes("below", region, STACK_SIZE, 0);
    report_bytes("above", region + 2 * STACK_SIZE, STACK_SIZE, 0);
}

static void dontneed_part(void)
{
    start_in_middle();
    REPORT(madvise(stack + STACK_SIZE - 2 * PAGE, 4 * PAGE, MADV_DONTNEED));
    after();
    report_bytes("above", region + 2 * STACK_SIZE, 2 * PAGE, 0);
    report_bytes("further", region + 2 * STACK_SIZE + 2 * PAGE, PAGE, 1);
}

static void dontneed_posix(void)
{
    start();
    errno = 0;
    printf("posix_madvise: %d, errno %d\n", posix_madvise(stack, STACK_SIZE, POSIX_MADV_DONTNEED), errno);
    after();
}

static void dontneed_refused(void)
{
    start_in_middle();
    REPORT(madvise(stack + 8, STACK_SIZE, MADV_DONTNEED));
    // For a 32-bit program, a 64-bit kernel drops everything up to the end of the address space.
    if (sizeof(size_t) == 8)
        REPORT(madvise(stack, (size_t)-2048, MADV_DONTNEED));
    REPORT(madvise(stack, STACK_SIZE, 4711));
    REPORT(madvise(stack, 0, MADV_DONTNEED));
    after();
    report_bytes("below", region, STACK_SIZE, 1);
}

// A hole in the range: the call does the rest, then fails with ENOMEM.
static void dontneed_over_a_hole(void)
{
    start_in_middle();
    MUST(munmap(region, PAGE) == 0);
    REPORT(madvise(region, 3 * STACK_SIZE, MADV_DONTNEED));
    report_bytes("above", region + 2 * STACK_SIZE, STACK_SIZE, 0);
    after();
}

// On memory that the program itself locked it fails, as it does without us.
static void dontneed_locked(void)
{
    start();
    stack[MIDDLE] = 7;
    MUST(mlock(stack, STACK_SIZE) == 0);
    REPORT(madvise(stack, STACK_SIZE, MADV_DONTNEED));
    printf("kept: %d\n", stack[MIDDLE]);
    after();
}

static void dontneed_locked_before(void)
{
    char *pages = plain_pages(STACK_SIZE);
    MUST(mlock(pages, STACK_SIZE) == 0);
    start_on(pages);
    stack[MIDDLE] = 7;
    REPORT(madvise(stack, STACK_SIZE, MADV_DONTNEED));
    printf("kept: %d\n", stack[MIDDLE]);
    after();
}

static char *file_pages(int flags)
{
    char path[] = "/tmp/disturbed-XXXXXX";
    int fd = mkstemp(path);
    MUST(fd >= 0 && unlink(path) == 0);
    static char content[STACK_SIZE];
    memset(content, 42, sizeof content);
    MUST(write(fd, content, sizeof content) == (ssize_t)sizeof content);
    char *pages = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
    MUST(pages != MAP_FAILED);
    close(fd);
    return pages;
}

static void dontneed_file(void)
{
    start_on(file_pages(MAP_PRIVATE));
    stack[MIDDLE] = 7;
    REPORT(madvise(stack, STACK_SIZE, MADV_DONTNEED));
    report_bytes("stack", stack, STACK_SIZE - 4 * PAGE, 42);
    after();
    REPORT(madvise(stack, STACK_SIZE, MADV_DONTNEED));
    report_bytes("stack", stack, STACK_SIZE, 42);
}

static void dontneed_shared(void)
{
    char *pages = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(pages != MAP_FAILED);
    start_on(pages);
    stack[MIDDLE] = 7;
    REPORT(madvise(stack, STACK_SIZE, MADV_DONTNEED));
    // Not earlier: a read would also map the pages around it.
    after();
    printf("kept: %d\n", stack[MIDDLE]);
}

static void dontneed_malloc(void)
{
    size_t size = 2 * STACK_SIZE + 100;
    char *block = malloc(size);
    MUST(block);
    memset(block, 3, size);
    char *inner = block + 1000;
    start_on(inner);
    char *first = (char *)(((uintptr_t)inner + PAGE - 1) & -PAGE);
    REPORT(madvise(first, STACK_SIZE - PAGE, MADV_DONTNEED));
    after();
    report_bytes("before the stack", block, 1000, 3);
    report_bytes("its first bytes", inner, first - inner, 3);
    report_bytes("behind the stack", inner + STACK_SIZE, size - 1000 - STACK_SIZE, 3);
}

static void dontneed_read_only_part(void)
{
    char *pages = plain_pages(STACK_SIZE);
    memset(pages, 9, 4 * PAGE);
    MUST(mprotect(pages, 4 * PAGE, PROT_READ) == 0);
    start_on(pages);
    REPORT(madvise(stack, STACK_SIZE, MADV_DONTNEED));
    report_bytes("read only", stack, 4 * PAGE, 0);
    after();
}

static void dontneed_guarded_part(void)
{
    char *pages = plain_pages(STACK_SIZE);
    memset(pages, 9, 4 * PAGE);
    MUST(mprotect(pages, 4 * PAGE, PROT_NONE) == 0);
    start_on(pages);
    REPORT(madvise(stack, STACK_SIZE, MADV_DONTNEED));
    MUST(mprotect(stack, 4 * PAGE, PROT_READ) == 0);
    report_bytes("guarded", stack, 4 * PAGE, 0);
    after();
}

// In a handler: from its stack pointer down, and from the stack's start up to one of its pages.
static void give_below(int signal)
{
    char here;
    (void)signal;
    char *end = (char *)((uintptr_t)&here & -PAGE);
    memset(stack, 7, PAGE);
    REPORT(madvise(stack, end - stack, MADV_DONTNEED));
    report_bytes("lowest", stack, PAGE, 0);
}

static void dontneed_in_a_handler(void)
{
    start();
    on_signal(SIGTERM, give_below, SA_ONSTACK);
    for (int i = 0; i < 3; i++) {
        MUST(raise(SIGTERM) == 0);
        deliver();
    }
}

static struct worker worker;

// Another thread takes signals all the time on the stack that goes away. Its handler uses no byte
// of the stack, not even to return: it jumps back to the worker by two registers.
static void *resume_at __attribute__((used)), *resume_with __attribute__((used));
void leave_at_once(int);
#ifdef __i386__
__asm__(".pushsection .text\n"
        "leave_at_once:\n"
        "lock incl measured\n"
        "mov resume_with, %esp\n"
        "jmp *resume_at\n"
        ".popsection\n");
#else
__asm__(".pushsection .text\n"
        "leave_at_once:\n"
        "lock incl measured(%rip)\n"
        "mov resume_with(%rip), %rsp\n"
        "jmp *resume_at(%rip)\n"
        ".popsection\n");
#endif

static char *stormed;
static int storming, enough;

static void *storm(void *unused)
{
    long self = syscall(SYS_gettid), process = getpid();
    (void)unused;
    MUST(set_altstack(stormed, STACK_SIZE) == 0);
    MUST(pthread_kill(pthread_self(), SIGUSR1) == 0);
    __atomic_store_n(&storming, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&enough, __ATOMIC_SEQ_CST)) {
        long call = SYS_tgkill, group = process, thread = self, signal = SIGUSR2;
#ifdef __i386__
        __asm__ volatile("movl $1f, resume_at\n"
                         "mov %%esp, resume_with\n"
                         "int $0x80\n"
                         "1:"
                         : "+a"(call), "+b"(group), "+c"(thread), "+d"(signal)
                         :
                         : "memory", "cc");
#else
        __asm__ volatile("lea 1f(%%rip), %%r8\n"
                         "mov %%r8, resume_at(%%rip)\n"
                         "mov %%rsp, resume_with(%%rip)\n"
                         "syscall\n"
                         "1:"
                         : "+a"(call), "+D"(group), "+S"(thread), "+d"(signal)
                         :
                         : "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
#endif
    }
    return NULL;
}

static void advise_other(int advice)
{
    enum { TIMES = 200 };
    pthread_t thread;
    stormed = plain_pages(STACK_SIZE);
    on_signal(SIGUSR1, count, SA_ONSTACK);
    on_signal(SIGUSR2, leave_at_once, SA_ONSTACK | SA_NODEFER);
    MUST(pthread_create(&thread, NULL, storm, NULL) == 0);
    while (!__atomic_load_n(&storming, __ATOMIC_SEQ_CST))
        usleep(100);
    int worst = 0;
    for (int i = 0; i < TIMES; i++) {
        memset(stormed, 7, PAGE);
        worst |= madvise(stormed, STACK_SIZE, advice);
        if (advice == MADV_DONTNEED)
            for (unsigned at = 0; at < PAGE; at++)
                MUST(stormed[at] == 0);
        // Under the meter, both must get their turns.
        int before = measured_so_far();
        while (measured_so_far() == before)
            ;
    }
    printf("madvise: %d\n", worst);
    __atomic_store_n(&enough, 1, __ATOMIC_SEQ_CST);
    MUST(pthread_join(thread, NULL) == 0);
    measured = TIMES;
}

static void dontneed_other(void) { advise_other(MADV_DONTNEED); }

static void dontneed_other_around(void)
{
    region = plain_pages(3 * STACK_SIZE);
    start_worker(&worker, region + STACK_SIZE, 0);
    REPORT(madvise(region, 3 * STACK_SIZE, MADV_DONTNEED));
    deliver_to(&worker);
    end_worker(&worker);
}

static void *over(void *where, size_t size, int more)
{
    return mmap(where, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | more, -1, 0);
}

// The worker's stack is a mapping of its own, with a stack's size below and above.
static void start_worker_in_middle(void)
{
    region = plain_pages(3 * STACK_SIZE);
    MUST(over(region + STACK_SIZE, STACK_SIZE, MAP_FIXED) == region + STACK_SIZE);
    memset(region, 1, 3 * STACK_SIZE);
    start_worker(&worker, region + STACK_SIZE, 0);
}

// A hole in the range: what lies behind it is discarded too.
static void dontneed_other_over_a_hole(void)
{
    start_worker_in_middle();
    MUST(munmap(region + PAGE, PAGE) == 0);
    REPORT(madvise(region, 3 * STACK_SIZE, MADV_DONTNEED));
    report_bytes("below the hole", region, PAGE, 0);
    report_bytes("stack and above", region + STACK_SIZE, 2 * STACK_SIZE, 0);
    deliver_to(&worker);
    end_worker(&worker);
}

// The call stops at a page that the program locked, after giving away what lies below.
static void dontneed_other_up_to_a_lock(void)
{
    start_worker_in_middle();
    MUST(mlock(region + PAGE, PAGE) == 0);
    REPORT(madvise(region, 3 * STACK_SIZE, MADV_DONTNEED));
    report_bytes("below the lock", region, PAGE, 0);
    report_bytes("stack", region + STACK_SIZE, STACK_SIZE / 2, 1);
    report_bytes("above", region + 2 * STACK_SIZE, STACK_SIZE, 1);
    MUST(munlock(region + PAGE, PAGE) == 0 && mlock(region + 2 * STACK_SIZE, PAGE) == 0);
    REPORT(madvise(region, 3 * STACK_SIZE, MADV_DONTNEED));
    report_bytes("below and stack", region, 2 * STACK_SIZE, 0);
    report_bytes("above", region + 2 * STACK_SIZE, STACK_SIZE, 1);
    deliver_to(&worker);
    end_worker(&worker);
}

// The same with the stack pointer just above that page: the frames of what we call lie on
// it.
static void give_just_below(int signal)
{
    enum { ROOM = 192 };
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    volatile char *room = __builtin_alloca(here % PAGE + PAGE - ROOM);
    room[0] = 1;
    (void)signal;
    char *end = (char *)((uintptr_t)room & -PAGE);
    REPORT(madvise(stack, end - stack, MADV_DONTNEED));
    report_bytes("lowest", stack, PAGE, 0);
}

// In such a handler, with another thread's stack in the range.
static void dontneed_other_in_a_handler(void)
{
    start_worker_in_middle();
    char *own = region + 2 * STACK_SIZE;
    MUST(over(own, STACK_SIZE, MAP_FIXED) == own);
    start_on(own);
    stack = region;
    on_signal(SIGTERM, give_just_below, SA_ONSTACK);
    for (int i = 0; i < 3; i++) {
        MUST(raise(SIGTERM) == 0);
        deliver();
        deliver_to(&worker);
    }
    end_worker(&worker);
}

static void dontneed_two(void)
{
    static struct worker second;
    region = plain_pages(2 * STACK_SIZE);
    start_worker(&worker, region, 0);
    start_worker(&second, region + STACK_SIZE, 0);
    REPORT(madvise(region, 2 * STACK_SIZE, MADV_DONTNEED));
    deliver_to(&worker);
    deliver_to(&second);
    end_worker(&worker);
    end_worker(&second);
}

static void evict_freed(void)
{
    madvise(stack, STACK_SIZE, MADV_FREE);
    madvise(stack, STACK_SIZE, MADV_PAGEOUT);
}

static void free_and_pageout(void)
{
    start();
    REPORT(madvise(stack, STACK_SIZE, MADV_FREE));
    REPORT(madvise(stack, STACK_SIZE, MADV_PAGEOUT));
    until_evicted(evict_freed);
    after();
}

static void free_other(void) { advise_other(MADV_FREE); }

static void pageout(void)
{
    start();
    stack[MIDDLE] = 7;
    REPORT(madvise(stack, STACK_SIZE, MADV_PAGEOUT));
    printf("kept: %d\n", stack[MIDDLE]);
    after();
}

static void evict_file(void)
{
    MUST(msync(stack, STACK_SIZE, MS_SYNC) == 0);
    madvise(stack, STACK_SIZE, MADV_PAGEOUT);
}

static void pageout_file(void)
{
    start_on(file_pages(MAP_SHARED));
    stack[MIDDLE] = 7;
    MUST(msync(stack, STACK_SIZE, MS_SYNC) == 0);
    REPORT(madvise(stack, STACK_SIZE, MADV_PAGEOUT));
    until_evicted(evict_file);
    after();
    printf("kept: %d\n", stack[MIDDLE]);
}

static void cold(void)
{
    start();
    REPORT(madvise(stack, STACK_SIZE, MADV_COLD));
    after();
}

static void removed(void)
{
    char *pages = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(pages != MAP_FAILED);
    start_on(pages);
    stack[MIDDLE] = 7;
    REPORT(madvise(stack, STACK_SIZE, MADV_REMOVE));
    printf("gone: %d\n", stack[MIDDLE]);
    after();
}

static void removed_private(void)
{
    start();
    REPORT(madvise(stack, STACK_SIZE, MADV_REMOVE));
    after();
}

// A guard at the stack's end; after its removal, one over the whole stack.
static void guarded(void)
{
    char *probe = plain_pages(PAGE);
    if (madvise(probe, PAGE, MADV_GUARD_INSTALL) != 0)
        not_here();
    start();
    int null = open("/dev/zero", O_RDONLY);
    MUST(null >= 0);
    REPORT(madvise(stack, PAGE, MADV_GUARD_INSTALL));
    REPORT(read(null, stack, 1));
    after();
    REPORT(madvise(stack, PAGE, MADV_GUARD_REMOVE));
    after();
    REPORT(madvise(stack, STACK_SIZE, MADV_GUARD_INSTALL));
    REPORT(read(null, stack + STACK_SIZE - 1, 1));
    REPORT(madvise(stack, STACK_SIZE, MADV_GUARD_REMOVE));
    report_bytes("stack", stack, STACK_SIZE - PAGE, 0);
    after();
    MUST(mlock(stack, PAGE) == 0);
    REPORT(madvise(stack, STACK_SIZE, MADV_GUARD_INSTALL));
    after();
}

static void harmless_advice(void)
{
    start();
    REPORT(madvise(stack, STACK_SIZE, MADV_NORMAL));
    REPORT(madvise(stack, STACK_SIZE, MADV_RANDOM));
    REPORT(madvise(stack, STACK_SIZE, MADV_WILLNEED));
    REPORT(madvise(stack, STACK_SIZE, MADV_DONTDUMP));
    after();
}

#if defined __GLIBC__ && SINCE_GLIBC(36)
static void advise_by_vector(int advice)
{
    int self = syscall(SYS_pidfd_open, getpid(), 0);
    MUST(self >= 0);
    struct iovec vector = {stack, STACK_SIZE};
    REPORT(process_madvise(self, &vector, 1, advice, 0));
    close(self);
}
#else
static void advise_by_vector(int advice)
{
    (void)advice;
    not_here();
}
#endif

static void by_process_madvise(void)
{
    start();
    advise_by_vector(MADV_PAGEOUT);
    advise_by_vector(MADV_COLD);
    after();
}

static void by_process_madvise_file(void)
{
    start_on(file_pages(MAP_SHARED));
    MUST(msync(stack, STACK_SIZE, MS_SYNC) == 0);
    advise_by_vector(MADV_PAGEOUT);
    until_evicted(evict_file);
    after();
}

static void fixed(void)
{
    start();
    REPORT(over(stack, STACK_SIZE, MAP_FIXED));
    after();
}

// By the name for 64-bit offsets, which programs built for large files import.
static void fixed_by_mmap64(void)
{
    void *(*map)(void *, size_t, int, int, int, int64_t) = dlsym(RTLD_DEFAULT, "mmap64");
    if (!map)
        not_here();
    start();
    REPORT(map(stack, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    after();
}

static void fixed_around(void)
{
    start_in_middle();
    REPORT(over(region, 3 * STACK_SIZE, MAP_FIXED));
    after();
    report_bytes("below", region, STACK_SIZE, 0);
}

static void fixed_part(void)
{
    start_in_middle();
    REPORT(over(stack + STACK_SIZE - PAGE, 2 * PAGE, MAP_FIXED));
    after();
}

// As in allocators: reserved first, then made usable.
static void fixed_reserved(void)
{
    start();
    REPORT(mmap(stack, STACK_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0));
    REPORT(mprotect(stack, STACK_SIZE, PROT_READ | PROT_WRITE));
    after();
}

static void fixed_refused(void)
{
    start();
    stack[MIDDLE] = 7;
#ifdef MAP_FIXED_NOREPLACE
    REPORT(over(stack, STACK_SIZE, MAP_FIXED_NOREPLACE));
#endif
    REPORT(mmap(stack, STACK_SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED, 4711, 0));
    REPORT(mmap(stack + 8, STACK_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    REPORT(mmap(stack, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    printf("kept: %d\n", stack[MIDDLE]);
    after();
}

static void unmapped_and_mapped_again(void)
{
    start();
    REPORT(munmap(stack, STACK_SIZE));
    char *again = over(stack, STACK_SIZE, 0);
    MUST(again == stack);
    after();
}

static void unmapping_refused(void)
{
    start();
    stack[MIDDLE] = 7;
    REPORT(munmap(stack + 8, STACK_SIZE));
    REPORT(munmap(stack, 0));
    REPORT(munmap(stack, -PAGE));
    printf("kept: %d\n", stack[MIDDLE]);
    after();
}

static void moved_over(void)
{
    start();
    char *fresh = plain_pages(STACK_SIZE);
    fresh[MIDDLE] = 8;
    REPORT(mremap(fresh, STACK_SIZE, STACK_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, stack));
    printf("new: %d\n", stack[MIDDLE]);
    after();
}

static void moved_away(void)
{
    start();
    stack[MIDDLE] = 7;
    char *target = plain_pages(STACK_SIZE);
    REPORT(mremap(stack, STACK_SIZE, STACK_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, target));
    printf("moved: %d\n", target[MIDDLE]);
    REPORT(over(stack, STACK_SIZE, MAP_FIXED));
    after();
    REPORT(munmap(target, STACK_SIZE));
}

// A whole mapping with the stack in its middle: our locks split it, and mremap must not notice.
static void moved_away_with_all_around(void)
{
    start_in_middle();
    stack[MIDDLE] = 7;
    char *target = plain_pages(3 * STACK_SIZE);
    REPORT(mremap(region, 3 * STACK_SIZE, 3 * STACK_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, target));
    printf("moved: %d %d\n", target[0], target[STACK_SIZE + MIDDLE]);
    REPORT(over(region, 3 * STACK_SIZE, MAP_FIXED));
    after();
}

static void moved_but_kept(void)
{
    start();
    char *target = plain_pages(STACK_SIZE);
    REPORT(mremap(stack, STACK_SIZE, STACK_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, target));
    after();
}

static void moving_refused(void)
{
    start();
    stack[MIDDLE] = 7;
    REPORT(mremap(stack, STACK_SIZE, 0, MREMAP_MAYMOVE));
    REPORT(mremap(stack + 8, STACK_SIZE, STACK_SIZE, 0));
    REPORT(mremap(stack, STACK_SIZE, STACK_SIZE, MREMAP_FIXED, stack + STACK_SIZE));
    printf("kept: %d\n", stack[MIDDLE]);
    after();
}

static void shrunk_and_grown(void)
{
    char *pages = plain_pages(2 * STACK_SIZE);
    start_on(pages);
    REPORT(mremap(pages, 2 * STACK_SIZE, STACK_SIZE / 2, 0));
    MUST(over(stack + STACK_SIZE / 2, STACK_SIZE / 2, MAP_FIXED) != MAP_FAILED);
    after();
}

static void heap_shrunk_and_grown(void)
{
    if (sbrk(PAGE) == (void *)-1)
        not_here();
    char *pages = sbrk(STACK_SIZE);
    MUST(pages != (void *)-1);
    start_on(pages);
    REPORT(sbrk(-(long)STACK_SIZE));
    REPORT(sbrk(STACK_SIZE));
    after();
}

static void heap_by_brk(void)
{
    if (sbrk(PAGE) == (void *)-1)
        not_here();
    char *pages = sbrk(STACK_SIZE);
    MUST(pages != (void *)-1);
    start_on(pages);
    REPORT(brk(pages + STACK_SIZE / 2));
    REPORT(brk(pages + STACK_SIZE));
    REPORT(brk((void *)1));
    after();
}

static int segment(void)
{
    int id = shmget(IPC_PRIVATE, STACK_SIZE, IPC_CREAT | 0600);
    MUST(id >= 0);
    return id;
}

static void shared_over(void)
{
    start();
    int id = segment();
    REPORT(shmat(id, stack, SHM_REMAP));
    after();
    MUST(shmctl(id, IPC_RMID, NULL) == 0);
}

static void shared_detached(void)
{
    int id = segment();
    char *pages = shmat(id, NULL, 0);
    MUST(pages != (void *)-1);
    start_on(pages);
    stack[MIDDLE] = 7;
    REPORT(shmdt(stack));
    REPORT(shmdt(stack));
    MUST(shmat(id, stack, 0) == stack);
    printf("kept: %d\n", stack[MIDDLE]);
    after();
    MUST(shmctl(id, IPC_RMID, NULL) == 0);
}

static void forbidden_and_allowed(void)
{
    start();
    REPORT(mprotect(stack, STACK_SIZE, PROT_NONE));
    REPORT(mprotect(stack, STACK_SIZE, PROT_READ | PROT_WRITE));
    after();
}

static void read_only_and_writable(void)
{
    start();
    REPORT(mprotect(stack, STACK_SIZE, PROT_READ));
    REPORT(mprotect(stack, STACK_SIZE, PROT_READ | PROT_WRITE));
    after();
}

static void keyed(void)
{
#ifdef __GLIBC__
    start();
    REPORT(pkey_mprotect(stack, STACK_SIZE, PROT_NONE, -1));
    REPORT(pkey_mprotect(stack, STACK_SIZE, PROT_READ | PROT_WRITE, -1));
    REPORT(pkey_mprotect(stack, STACK_SIZE, PROT_READ, 4711));
    after();
#else
    not_here();
#endif
}

// Reserved first, then made usable.
static void keyed_reserved(void)
{
#ifdef __GLIBC__
    start();
    REPORT(mmap(stack, STACK_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    REPORT(pkey_mprotect(stack, STACK_SIZE, PROT_READ | PROT_WRITE, -1));
    after();
#else
    not_here();
#endif
}

static void unlocked(void)
{
    start();
    REPORT(munlock(stack, STACK_SIZE));
    REPORT(madvise(stack, STACK_SIZE, MADV_DONTNEED));
    after();
}

static void all_unlocked(void)
{
    start();
    REPORT(mlockall(MCL_CURRENT));
    REPORT(munlockall());
    REPORT(madvise(stack, STACK_SIZE, MADV_DONTNEED));
    after();
}

int main(int argc, char **argv)
{
    static const struct scenario all[] = {
        {"dontneed", dontneed},
        {"dontneed-all-zero", dontneed_all_zero},
        {"dontneed-around", dontneed_around},
        {"dontneed-part", dontneed_part},
        {"dontneed-posix", dontneed_posix},
        {"dontneed-refused", dontneed_refused},
        {"dontneed-over-a-hole", dontneed_over_a_hole},
        {"dontneed-locked", dontneed_locked},
        {"dontneed-locked-before", dontneed_locked_before},
        {"dontneed-file", dontneed_file},
        {"dontneed-shared", dontneed_shared},
        {"dontneed-malloc", dontneed_malloc},
        {"dontneed-read-only-part", dontneed_read_only_part},
        {"dontneed-guarded-part", dontneed_guarded_part},
        {"dontneed-in-a-handler", dontneed_in_a_handler},
        {"dontneed-other", dontneed_other},
        {"dontneed-other-around", dontneed_other_around},
        {"dontneed-other-over-a-hole", dontneed_other_over_a_hole},
        {"dontneed-other-up-to-a-lock", dontneed_other_up_to_a_lock},
        {"dontneed-other-in-a-handler", dontneed_other_in_a_handler},
        {"dontneed-two", dontneed_two},
        {"free-and-pageout", free_and_pageout},
        {"free-other", free_other},
        {"pageout", pageout},
        {"pageout-file", pageout_file},
        {"cold", cold},
        {"remove", removed},
        {"remove-private", removed_private},
        {"guarded", guarded},
        {"harmless-advice", harmless_advice},
        {"process-madvise", by_process_madvise},
        {"process-madvise-file", by_process_madvise_file},
        {"fixed", fixed},
        {"fixed-by-mmap64", fixed_by_mmap64},
        {"fixed-around", fixed_around},
        {"fixed-part", fixed_part},
        {"fixed-reserved", fixed_reserved},
        {"fixed-refused", fixed_refused},
        {"unmapped-and-mapped-again", unmapped_and_mapped_again},
        {"unmapping-refused", unmapping_refused},
        {"moved-over", moved_over},
        {"moved-away", moved_away},
        {"moved-away-with-all-around", moved_away_with_all_around},
        {"moved-but-kept", moved_but_kept},
        {"moving-refused", moving_refused},
        {"shrunk-and-grown", shrunk_and_grown},
        {"heap-shrunk-and-grown", heap_shrunk_and_grown},
        {"heap-by-brk", heap_by_brk},
        {"shared-over", shared_over},
        {"shared-detached", shared_detached},
        {"forbidden-and-allowed", forbidden_and_allowed},
        {"read-only-and-writable", read_only_and_writable},
        {"keyed", keyed},
        {"keyed-reserved", keyed_reserved},
        {"unlocked", unlocked},
        {"all-unlocked", all_unlocked},
        {NULL, NULL},
    };
    return run_scenario(argc, argv, all);
}
