// Threads that end in every way, with alternate and ordinary stacks that are used to the last
// moment: in destructors of thread-specific data, round after round. Each scenario ends by printing
// what is locked.
#include <sched.h>
#include "scenario.h"

static long locked_before;

static void begin(void)
{
    on_signal(SIGUSR1, count, SA_ONSTACK);
    on_signal(SIGUSR2, count, SA_ONSTACK);
    locked_before = status_kb("VmLck");
}

static void *nothing(void *unused) { return unused; }

// Threads whose end was not reported are found when other threads start.
static void report_locked(void)
{
    for (int i = 0; i < 64 && status_kb("VmLck") != locked_before; i++) {
        pthread_t id;
        char *stack = plain_pages(STACK_SIZE);
        MUST(set_altstack(stack, STACK_SIZE) == 0 && drop_altstack() == 0);
        MUST(munmap(stack, STACK_SIZE) == 0);
        MUST(pthread_create(&id, NULL, nothing, NULL) == 0 && pthread_join(id, NULL) == 0);
        usleep(1000);
    }
    printf("locked: %s\n", status_kb("VmLck") == locked_before ? "as at the start" : "more than at the start");
}

static void cold_stack(void)
{
    MUST(set_altstack(plain_pages(STACK_SIZE), STACK_SIZE) == 0);
    deliver();
}

static void join(void *(*function)(void *))
{
    pthread_t id;
    MUST(pthread_create(&id, NULL, function, NULL) == 0);
    MUST(pthread_join(id, NULL) == 0);
}

static void *returns_with_stack(void *unused)
{
    cold_stack();
    return unused;
}

static void *exits_with_stack(void *unused)
{
    cold_stack();
    pthread_exit(unused);
}

static int arrived;

static void *waits_with_stack(void *unused)
{
    cold_stack();
    __atomic_store_n(&arrived, 1, __ATOMIC_SEQ_CST);
    for (;;)
        pause();
    return unused;
}

static void returned(void)
{
    begin();
    join(returns_with_stack);
    report_locked();
}

static void exited(void)
{
    begin();
    join(exits_with_stack);
    report_locked();
}

static void canceled(void)
{
    pthread_t id;
    begin();
    MUST(pthread_create(&id, NULL, waits_with_stack, NULL) == 0);
    while (!__atomic_load_n(&arrived, __ATOMIC_SEQ_CST))
        usleep(100);
    MUST(pthread_cancel(id) == 0 && pthread_join(id, NULL) == 0);
    report_locked();
}

static void detached(void)
{
    pthread_t id;
    begin();
    MUST(pthread_create(&id, NULL, returns_with_stack, NULL) == 0 && pthread_detach(id) == 0);
    while (status_kb("Threads") != 1)
        usleep(100);
    report_locked();
}

enum { KEYS = 20, ROUNDS = 4 };
static pthread_key_t keys[KEYS];
static int rounds_seen;
static void (*in_destructor)(long round);

// Each value requests another round, as long as there is one.
static void destructor(void *value)
{
    long key = (long)value >> 8, round = (long)value & 255;
    if (key == 0)
        rounds_seen++;
    in_destructor(round);
    pthread_setspecific(keys[key], (void *)(key << 8 | (round + 1)));
}

static void *with_keys(void *unused)
{
    for (long key = 0; key < KEYS; key++)
        MUST(pthread_setspecific(keys[key], (void *)(key << 8 | 1)) == 0);
    return returns_with_stack(unused);
}

static void run_destructors(void (*action)(long))
{
    in_destructor = action;
    for (int key = 0; key < KEYS; key++)
        MUST(pthread_key_create(&keys[key], destructor) == 0);
    begin();
    join(with_keys);
    printf("rounds: %d\n", rounds_seen);
    report_locked();
}

static void use(long round)
{
    (void)round;
    deliver();
}

static void replace(long round)
{
    (void)round;
    cold_stack();
}

static void disable(long round)
{
    if (round < ROUNDS)
        return;
    stack_t now;
    MUST(sigaltstack(NULL, &now) == 0);
    if (!(now.ss_flags & SS_DISABLE)) {
        MUST(drop_altstack() == 0);
        MUST(munmap(now.ss_sp, now.ss_size) == 0);
    }
}

// As in real programs: the memory is unmapped without SS_DISABLE.
static void unmap(long round)
{
    stack_t now;
    MUST(sigaltstack(NULL, &now) == 0);
    if (round == 2 && now.ss_sp)
        munmap(now.ss_sp, now.ss_size);
}

static void used_in_destructors(void) { run_destructors(use); }
static void replaced_in_destructors(void) { run_destructors(replace); }
static void disabled_in_destructors(void) { run_destructors(disable); }
static void unmapped_in_destructors(void) { run_destructors(unmap); }

static int raw_thread(void *unused)
{
    (void)unused;
    stack_t stack = {.ss_sp = plain_pages(STACK_SIZE), .ss_size = STACK_SIZE};
    MUST(sigaltstack(&stack, NULL) == 0);
    MUST(syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), SIGUSR2) == 0);
    syscall(SYS_exit, 0);
    return 0;
}

// Made by clone(2) alone: libc does not know it, and it shares the caller's thread pointer.
static void raw(void)
{
    enum { THREADS = 20 };
    begin();
    for (int i = 0; i < THREADS; i++) {
        char *stack = plain_pages(STACK_SIZE);
        int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
        MUST(clone(raw_thread, stack + STACK_SIZE, flags, NULL) > 0);
        while (status_kb("Threads") != 1)
            usleep(100);
    }
    report_locked();
}

static pthread_t main_thread;

static void *outlives_main(void *unused)
{
    MUST(pthread_join(main_thread, NULL) == 0);
    cold_stack();
    printf("measured: %d\n", measured_so_far());
    exit(0);
    return unused;
}

static void main_exits_first(void)
{
    pthread_t id;
    begin();
    cold_stack();
    main_thread = pthread_self();
    MUST(pthread_create(&id, NULL, outlives_main, NULL) == 0);
    pthread_exit(NULL);
}

static void thousand(void)
{
    begin();
    for (int i = 0; i < 1000; i++)
        join(i % 2 ? returns_with_stack : exits_with_stack);
    report_locked();
}

int main(int argc, char **argv)
{
    static const struct scenario all[] = {
        {"returned", returned},
        {"exited", exited},
        {"canceled", canceled},
        {"detached", detached},
        {"used-in-destructors", used_in_destructors},
        {"replaced-in-destructors", replaced_in_destructors},
        {"disabled-in-destructors", disabled_in_destructors},
        {"unmapped-in-destructors", unmapped_in_destructors},
        {"raw", raw},
        {"main-exits-first", main_exits_first},
        {"thousand", thousand},
        {NULL, NULL},
    };
    return run_scenario(argc, argv, all);
}
