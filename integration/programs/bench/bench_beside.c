// The cost of one call beside other threads and their alternate stacks: bench_beside CALL NAME=VALUE…
//
//   threads=N       number of other threads, which sleep (0)
//   stacks=KIND     their stacks: none, mapped (8 KiB, one mapping each), malloc, or shared (8 KiB
//                   each in one mapping) (none)
//   own=KIB         the calling thread's alternate stack (0: none)
//   handler=WHERE   a handler of SIGTERM: none, or one on the ordinary stack (none)
//   size=KIB        the size of the memory in a memory call (64)
//   apart=N         this many more mappings (0): the kernel splits and joins the nodes of its tree of
//                   mappings at some numbers of them
//   forked=N        N children have been forked and have ended (0)
//   set=KIB         the size of the stacks that are set (8)
//   rounds=N        prints the minimum and median nanoseconds of N rounds (100); with 0 it makes the
//                   call once, between two `int3`, to have its instructions counted
//   extent=BYTES    copies: how much of each ordinary stack is written
// compared: elsewhere
#include "bench.h"

#define THEIRS 8192UL

static int threads, own_kib, apart, children, rounds = 100;
static size_t size = 64 << 10, set_size = THEIRS, extent;
static const char *stacks = "none", *handled = "none";

static pthread_barrier_t parked;
static char **their_stack, **their_start;

static void handler(int signal) { (void)signal; }

// Far below the frames in use, where the stack is held, so that there is something to copy.
static __attribute__((noinline)) void use_extent(void)
{
    volatile char *room = __builtin_alloca(extent);
    for (size_t at = 0; at < extent; at += PAGE)
        room[at] = 1;
}

static void *park(void *index)
{
    long i = (long)index;
    their_start[i] = __builtin_frame_address(0);
    if (their_stack[i])
        MUST(set_altstack(their_stack[i], THEIRS) == 0);
    if (extent)
        use_extent();
    pthread_barrier_wait(&parked);
    for (;;)
        pause();
}

static void start_threads(void)
{
    MUST(pthread_barrier_init(&parked, NULL, threads + 1) == 0);
    pthread_attr_t small;
    pthread_attr_init(&small);
    MUST(pthread_attr_setstacksize(&small, 256 << 10) == 0);
    their_stack = calloc(threads + 1, sizeof *their_stack);
    their_start = calloc(threads + 1, sizeof *their_start);
    MUST(their_stack && their_start);
    char *shared = strcmp(stacks, "shared") ? NULL : plain_pages(THEIRS * (threads + 1));
    for (long i = 0; i < threads; i++) {
        if (shared)
            their_stack[i] = shared + THEIRS * i;
        else if (!strcmp(stacks, "mapped"))
            their_stack[i] = plain_pages(THEIRS);
        else if (!strcmp(stacks, "malloc"))
            MUST(their_stack[i] = malloc(THEIRS));
        if (their_stack[i])
            memset(their_stack[i], 1, THEIRS);
        pthread_t thread;
        MUST(pthread_create(&thread, &small, park, (void *)i) == 0);
    }
    pthread_barrier_wait(&parked);
}

static char *two[2], *memory;

static void set(void)
{
    static unsigned turn;
    MUST(set_altstack(two[turn++ % 2], set_size) == 0);
}

static void again(void) { MUST(set_altstack(two[0], set_size) == 0); }

static void action(void) { on_signal(SIGUSR1, handler, SA_RESTART); }
static void action_onstack(void) { on_signal(SIGUSR1, handler, SA_RESTART | SA_ONSTACK); }

// MAP_NORESERVE, so that it never joins another mapping, which would be cheaper.
static void map(void)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    MUST(mapped != MAP_FAILED && munmap(mapped, size) == 0);
}

static void map_fixed(void)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    MUST(mmap(memory, size, PROT_READ | PROT_WRITE, flags, -1, 0) == memory);
}

// Where page tables begin and end decides how many of them a call on `bytes` walks over. It must
// not differ from run to run.
static char *aligned_pages(size_t bytes)
{
    size_t step = 64 << 20;
    char *all = plain_pages(bytes + 2 * step);
    char *start = (char *)(((uintptr_t)all + step - 1) / step * step);
    MUST(start == all || munmap(all, start - all) == 0);
    MUST(munmap(start + bytes, all + bytes + 2 * step - (start + bytes)) == 0);
    return start;
}

static void advise(void) { MUST(madvise(memory, size, MADV_DONTNEED) == 0); }

static void protect(void)
{
    MUST(mprotect(memory, size, PROT_READ) == 0);
    MUST(mprotect(memory, size, PROT_READ | PROT_WRITE) == 0);
}

// The child waits until the parent has been timed: if it ended, there would be nothing to copy.
static pid_t forked;
static int hold[2];

static void fork_child(void)
{
    forked = fork();
    MUST(forked >= 0);
    if (forked == 0) {
        char end;
        close(hold[1]);
        _exit(read(hold[0], &end, 1) != 0);
    }
}

// A fork, and a write to each page that would be made resident again: the cost of the kernel's
// copies alone.
static void fork_and_copy(void)
{
    fork_child();
    for (int i = 0; i < threads; i++) {
        for (size_t at = 0; their_stack[i] && at < THEIRS; at += PAGE)
            *(volatile char *)(their_stack[i] + at) = 1;
        for (size_t at = 0; at < extent; at += PAGE)
            *(volatile char *)(their_start[i] - at - 512) = *(volatile char *)(their_start[i] - at - 512);
    }
}

static const struct {
    const char *name;
    void (*call)(void);
} CALLS[] = {
    {"set", set},         {"again", again},      {"action", action}, {"action-onstack", action_onstack},
    {"map", map},         {"fixed", map_fixed},  {"advise", advise}, {"protect", protect},
    {"fork", fork_child}, {"copies", fork_and_copy},
};

static const char *value(const char *word, const char *name)
{
    size_t length = strlen(name);
    return !strncmp(word, name, length) && word[length] == '=' ? word + length + 1 : NULL;
}

static void read_settings(int count, char **words)
{
    for (int i = 0; i < count; i++) {
        const char *said;
        if ((said = value(words[i], "threads")))
            threads = atoi(said);
        else if ((said = value(words[i], "stacks")))
            stacks = said;
        else if ((said = value(words[i], "own")))
            own_kib = atoi(said);
        else if ((said = value(words[i], "handler")))
            handled = said;
        else if ((said = value(words[i], "size")))
            size = strtoul(said, NULL, 10) << 10;
        else if ((said = value(words[i], "forked")))
            children = atoi(said);
        else if ((said = value(words[i], "set")))
            set_size = strtoul(said, NULL, 10) << 10;
        else if ((said = value(words[i], "apart")))
            apart = atoi(said);
        else if ((said = value(words[i], "rounds")))
            rounds = atoi(said);
        else if ((said = value(words[i], "extent")))
            extent = strtoul(said, NULL, 10);
        else
            MUST(!"a setting that is known");
    }
}

static void once(void (*call)(void))
{
    MUST(pipe(hold) == 0);
    call();
}

static void reap(void)
{
    close(hold[0]);
    close(hold[1]);
    if (forked > 0)
        MUST(waitpid(forked, NULL, 0) == forked);
    forked = 0;
}

int main(int argc, char **argv)
{
    dead_man(120);
    void (*call)(void) = NULL;
    for (size_t i = 0; argc > 1 && i < sizeof CALLS / sizeof *CALLS; i++)
        if (!strcmp(CALLS[i].name, argv[1]))
            call = CALLS[i].call;
    MUST(call);
    read_settings(argc - 2, argv + 2);
    if (!strcmp(handled, "ordinary"))
        on_signal(SIGTERM, handler, SA_RESTART);
    start_threads();
    for (int i = 0; i < apart; i++)
        fresh_pages(PAGE);
    if (own_kib)
        MUST(set_altstack(plain_pages(own_kib << 10), own_kib << 10) == 0);
    memory = aligned_pages(size);
    for (int i = 0; i < 2; i++)
        two[i] = fresh_pages(set_size);

    for (int i = 0; i < children; i++) {
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0)
            _exit(0);
        MUST(waitpid(child, NULL, 0) == child);
    }

    // The first call binds the name and does not count.
    once(call);
    reap();
    if (rounds == 0) {
        MUST(pipe(hold) == 0);
        __asm__ volatile("int3");
        call();
        __asm__ volatile("int3");
        reap();
        _exit(0);
    }
    double *each = calloc(rounds, sizeof *each);
    MUST(each);
    // A fork beside many threads takes so long that it may be preempted.
    clockid_t clock = call == fork_child || call == fork_and_copy ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    for (int round = 0; round < rounds; round++) {
        MUST(pipe(hold) == 0);
        int64_t start = now_by(clock);
        call();
        each[round] = now_by(clock) - start;
        reap();
    }
    report(each, rounds);
    // Not exit: thousands of threads need no cleanup.
    _exit(fflush(stdout));
}
