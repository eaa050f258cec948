// A fork in one of its many forms, then signals to the child, to the parent, and to its threads.
// build: -lutil -fno-stack-clash-protection
// only: x86
#include <pty.h>
#include <sched.h>
#include <spawn.h>
#include "scenario.h"

#if !SINCE_GLIBC(34)
static pid_t _Fork(void) { not_here(); }
#endif

enum { THREADS = 4 };

extern char **environ;
static char *stack;
static int hold[2];

// The child lives until the parent has been measured, so that its pages stay shared.
static void wait_for_parent(void)
{
    char byte;
    close(hold[1]);
    MUST(read(hold[0], &byte, 1) == 0);
}

static void reap(pid_t child)
{
    int status;
    close(hold[1]);
    MUST(waitpid(child, &status, 0) == child);
    MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    MUST(pipe(hold) == 0);
}

static void start(void)
{
    MUST(pipe(hold) == 0);
    stack = fresh_pages(STACK_SIZE);
    warm_up(stack, STACK_SIZE);
}

static void in_child_of(pid_t child)
{
    MUST(child >= 0);
    if (child == 0) {
        deliver();
        _exit(0);
    }
    reap(child);
}

static void in_parent_of(pid_t child)
{
    MUST(child >= 0);
    if (child == 0) {
        wait_for_parent();
        _exit(0);
    }
    deliver();
    reap(child);
}

static void child(void) { start(); in_child_of(fork()); }
static void parent(void) { start(); in_parent_of(fork()); }
static void child_bare(void) { start(); in_child_of(_Fork()); }
static void parent_bare(void) { start(); in_parent_of(_Fork()); }

// By syscall(2). libc does not notice: in the child it may take the thread for the one it copied.
static void deliver_by_number(void)
{
    int before = measured_so_far();
    MUST(syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), SIGUSR2) == 0);
    MUST(measured_so_far() > before);
}

static long by_fork(void) { return syscall(SYS_fork); }
static long by_clone(void) { return syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L); }

// The first fields of the kernel's struct clone_args, in their order.
struct asked {
    uint64_t flags, pidfd, child, parent, signal, stack, size, tls;
};

static long by_clone3(void)
{
    struct asked asked = {.signal = SIGCHLD};
    return syscall(SYS_clone3, &asked, sizeof asked);
}

static void by_number(long (*forks)(void))
{
    start();
    pid_t child = forks();
    if (child < 0 && errno == ENOSYS)
        not_here();
    MUST(child >= 0);
    if (child == 0) {
        deliver_by_number();
        wait_for_parent();
        syscall(SYS_exit_group, 0);
    }
    deliver();
    reap(child);
}

static void forked_by_number(void) { by_number(by_fork); }
static void cloned_by_number(void) { by_number(by_clone); }
static void cloned_by_number_3(void) { by_number(by_clone3); }

static void child_pty(void)
{
    start();
    int terminal;
    pid_t child = forkpty(&terminal, NULL, NULL, NULL);
    in_child_of(child);
}

static void parent_pty(void)
{
    start();
    int terminal;
    pid_t child = forkpty(&terminal, NULL, NULL, NULL);
    in_parent_of(child);
}

// When it returns, the parent has ended.
static void child_daemon(void)
{
    start();
    MUST(daemon(1, 1) == 0);
    deliver();
}

static void grandchild(void)
{
    start();
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        in_child_of(fork());
        in_parent_of(fork());
        _exit(0);
    }
    reap(child);
}

static void many_times(void)
{
    start();
    for (int i = 0; i < 20; i++)
        in_parent_of(fork());
}

// Pages that a fork write-protected, and that this process has all to itself again. A processor that
// reads them may remember that they cannot be written.
static void read_and_set(char *next)
{
    cpu_set_t all, one;
    MUST(sched_getaffinity(0, sizeof all, &all) == 0);
    for (int cpu = 0, seen = 0; seen < CPU_COUNT(&all); cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        seen++;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        MUST(sched_setaffinity(0, sizeof one, &one) == 0);
        for (size_t at = 0; at < STACK_SIZE; at += PAGE)
            (void)*(volatile char *)(next + at);
    }
    // The stack is set on the last one; the signal comes on each.
    MUST(set_altstack(next, STACK_SIZE) == 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (CPU_ISSET(cpu, &all) && sched_setaffinity(0, sizeof one, &one) == 0)
            deliver();
    }
}

static void set_after_reading(void)
{
    start();
    char *next = fresh_pages(STACK_SIZE);
    memset(next, 1, STACK_SIZE);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0)
        _exit(0);
    reap(child);
    read_and_set(next);
}

static void set_after_reading_in_the_child(void)
{
    start();
    char *next = fresh_pages(STACK_SIZE);
    memset(next, 1, STACK_SIZE);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        wait_for_parent();
        read_and_set(next);
        _exit(0);
    }
    memset(next, 2, STACK_SIZE); // Now the child has the pages to itself.
    reap(child);
}

static struct worker workers[THREADS];

static void start_workers(int storm)
{
    for (int i = 0; i < THREADS; i++)
        start_worker(&workers[i], plain_pages(STACK_SIZE), storm);
}

static void end_workers(void)
{
    for (int i = 0; i < THREADS; i++)
        end_worker(&workers[i]);
}

// The stack fills a mapping, and most of it was never used.
static void own_mapping(void)
{
    MUST(pipe(hold) == 0);
    stack = plain_pages(STACK_SIZE);
    warm_up(stack, STACK_SIZE);
    in_child_of(fork());
    in_parent_of(fork());
}

static void other_threads(void)
{
    start();
    start_workers(0);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        wait_for_parent();
        _exit(0);
    }
    for (int i = 0; i < THREADS; i++)
        deliver_to(&workers[i]);
    reap(child);
    end_workers();
}

// The threads take signals all the time: none may find its pages missing even for a moment.
static void threads_in_a_storm(void)
{
    start();
    start_workers(1);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0)
            _exit(0);
        reap(child);
    }
    end_workers();
    measured = 20;
}

static void *fork_here(void *unused)
{
    (void)unused;
    start();
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        deliver();
        wait_for_parent();
        _exit(0);
    }
    deliver();
    for (int i = 0; i < THREADS; i++)
        deliver_to(&workers[i]);
    reap(child);
    return NULL;
}

static void from_a_thread(void)
{
    pthread_t thread;
    start_workers(0);
    MUST(pthread_create(&thread, NULL, fork_here, NULL) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    end_workers();
}

static pid_t from_handler = -1;

static void fork_on_stack(int signal)
{
    char here;
    MUST(signal == SIGALRM && &here > stack && &here < stack + STACK_SIZE);
    from_handler = fork();
    // Nested on the same stack.
    deliver();
}

static void in_a_handler(void)
{
    start();
    on_signal(SIGALRM, fork_on_stack, SA_ONSTACK);
    MUST(raise(SIGALRM) == 0);
    MUST(from_handler >= 0);
    deliver();
    if (from_handler == 0)
        _exit(0);
    reap(from_handler);
    dead_man(60);
}

static void failing(void)
{
    start();
    // Root may fork beyond the limit.
    if (geteuid() == 0)
        MUST(setuid(65534) == 0);
    struct rlimit none = {0, 0};
    MUST(setrlimit(RLIMIT_NPROC, &none) == 0);
    REPORT(fork());
    deliver();
    REPORT(_Fork());
    deliver();
}

static void ordinary_child(void)
{
    MUST(pipe(hold) == 0);
    on_signal(SIGUSR2, count, 0);
    deliver_deep(0);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        deliver_deep(0);
        _exit(0);
    }
    reap(child);
}

static void ordinary_parent(void)
{
    MUST(pipe(hold) == 0);
    on_signal(SIGUSR2, count, 0);
    deliver_deep(0);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        wait_for_parent();
        _exit(0);
    }
    deliver_deep(0);
    reap(child);
}

// Children that share our memory: what they do to their own signals does not concern us.
static void use_signals_in_child(void)
{
    stack_t off = {.ss_flags = SS_DISABLE};
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigaltstack(&off, NULL);
    sigaction(SIGUSR1, &plain, NULL);
    sigaction(SIGUSR2, &plain, NULL);
}

static void after_shared_child(pid_t child)
{
    int status;
    MUST(child > 0 && waitpid(child, &status, 0) == child);
    printf("status: %d\n", WEXITSTATUS(status));
    stack_t now;
    MUST(sigaltstack(NULL, &now) == 0);
    printf("stack kept: %d\n", now.ss_sp == (void *)stack && now.ss_size == STACK_SIZE);
    deliver();
}

static void vforked(void)
{
    start();
    pid_t child = vfork();
    if (child == 0) {
        use_signals_in_child();
        _exit(3);
    }
    after_shared_child(child);
}

static void vforked_new_stack(void)
{
    start();
    static char other[STACK_SIZE];
    pid_t child = vfork();
    if (child == 0) {
        stack_t mine = {.ss_sp = other, .ss_size = STACK_SIZE};
        sigaltstack(&mine, NULL);
        _exit(4);
    }
    after_shared_child(child);
}

static void spawned(void)
{
    start();
    pid_t child;
    // This program: a library for 32-bit programs cannot be preloaded into another's shell.
    char *args[] = {"/proc/self/exe", "spawn", "5", NULL};
    posix_spawnattr_t attributes;
    MUST(posix_spawnattr_init(&attributes) == 0);
    MUST(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0);
    MUST(posix_spawn(&child, args[0], NULL, &attributes, args, environ) == 0);
    after_shared_child(child);
}

static int cloned_child(void *unused)
{
    (void)unused;
    use_signals_in_child();
    _exit(6);
}

static void cloned(void)
{
    start();
    char *other = fresh_pages(STACK_SIZE);
    after_shared_child(clone(cloned_child, other + STACK_SIZE, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));
}

// Where such a child returns to from syscall(2): its stack contains only the address.
__attribute__((noreturn)) static void returned_to(void)
{
    use_signals_in_child();
    _exit(8);
}

static long cloned_onto(char *other)
{
    void **top = (void **)(other + STACK_SIZE) - 2;
    *top = (void *)returned_to;
    return syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, top, 0L, 0L, 0L);
}

static long cloned_onto_3(char *other)
{
    // The kernel adds the size.
    void **top = (void **)(other + STACK_SIZE) - 2;
    *top = (void *)returned_to;
    struct asked asked = {.flags = CLONE_VM | CLONE_VFORK, .signal = SIGCHLD, .stack = (uintptr_t)other,
                          .size = STACK_SIZE - 2 * sizeof *top};
    return syscall(SYS_clone3, &asked, sizeof asked);
}

static void shared_by_number(void)
{
    start();
    after_shared_child(cloned_onto(fresh_pages(STACK_SIZE)));
}

static void shared_by_number_3(void)
{
    start();
    pid_t child = cloned_onto_3(fresh_pages(STACK_SIZE));
    if (child < 0 && errno == ENOSYS)
        not_here();
    after_shared_child(child);
}

// A copy of the memory, on another stack. Like a fork by the instruction, it runs no fork handlers.
static void copied_by_number(void)
{
    int status;
    start();
    deliver();
    char *other = fresh_pages(STACK_SIZE);
    void **top = (void **)(other + STACK_SIZE) - 2;
    *top = (void *)returned_to;
    pid_t child = syscall(SYS_clone, (long)SIGCHLD, top, 0L, 0L, 0L);
    MUST(child > 0 && waitpid(child, &status, 0) == child);
    printf("status: %#x\n", status);
}

static void failing_by_number(void)
{
    start();
    REPORT(syscall(SYS_clone, (long)(CLONE_THREAD | SIGCHLD), 0L, 0L, 0L, 0L));
    REPORT(syscall(SYS_clone3, NULL, 64L));
    REPORT(syscall(SYS_clone3, (void *)8, 64L));
    struct asked asked = {.signal = SIGCHLD};
    REPORT(syscall(SYS_clone3, &asked, 8L));
    deliver();
}

int main(int argc, char **argv)
{
    static const struct scenario all[] = {
        {"child", child},
        {"parent", parent},
        {"child-bare", child_bare},
        {"parent-bare", parent_bare},
        {"fork-by-number", forked_by_number},
        {"clone-by-number", cloned_by_number},
        {"clone3-by-number", cloned_by_number_3},
        {"child-pty", child_pty},
        {"parent-pty", parent_pty},
        {"child-daemon", child_daemon},
        {"grandchild", grandchild},
        {"many-times", many_times},
        {"set-after-reading", set_after_reading},
        {"set-after-reading-in-the-child", set_after_reading_in_the_child},
        {"own-mapping", own_mapping},
        {"other-threads", other_threads},
        {"threads-in-a-storm", threads_in_a_storm},
        {"from-a-thread", from_a_thread},
        {"in-a-handler", in_a_handler},
        {"failing", failing},
        {"ordinary-child", ordinary_child},
        {"ordinary-parent", ordinary_parent},
        {"vfork", vforked},
        {"vfork-new-stack", vforked_new_stack},
        {"spawn", spawned},
        {"clone-vm", cloned},
        {"clone-vm-by-number", shared_by_number},
        {"clone3-vm-by-number", shared_by_number_3},
        {"clone-stack-by-number", copied_by_number},
        {"failing-by-number", failing_by_number},
        {NULL, NULL},
    };
    if (argc > 2) // the spawned one
        _exit(atoi(argv[2]));
    return run_scenario(argc, argv, all);
}
