// What a program sees of alternate stacks that it did not set: nothing. With "kernel", what the
// kernel has. With "churn", many threads that end in several ways.
#include "common.h"

static char *own;

static void show(const char *when)
{
    stack_t now;
    memset(&now, 0x5a, sizeof now);
    int result = sigaltstack(NULL, &now);
    printf("%s: %d, own %d, none %d, flags %d, size %zu\n", when, result, now.ss_sp == own,
           now.ss_sp == NULL, now.ss_flags, now.ss_size);
}

static void change(const char *what, void *base, size_t size, int flags)
{
    stack_t new = {.ss_sp = base, .ss_size = size, .ss_flags = flags}, old;
    memset(&old, 0x5a, sizeof old);
    errno = 0;
    int result = sigaltstack(&new, &old);
    printf("%s: %d, errno %d", what, result, errno);
    if (result == 0)
        printf(", before: own %d, none %d, flags %d, size %zu", old.ss_sp == own,
               old.ss_sp == NULL, old.ss_flags, old.ss_size);
    printf("\n");
}

static void looks(int signal)
{
    (void)signal;
    show("  in a handler");
}

static void changes(int signal)
{
    (void)signal;
    change("  disabled in a handler", NULL, 0, SS_DISABLE);
    change("  too small in a handler", own, 100, 0);
    change("  set in a handler", own, STACK_SIZE, 0);
    show("  after that");
    change("  disabled again", NULL, 0, SS_DISABLE);
    change("  set again", own, STACK_SIZE, 0);
}

static void deliver(const char *when, void (*handler)(int))
{
    printf("%s\n", when);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    MUST(pthread_kill(pthread_self(), SIGUSR1) == 0);
}

static void *all(void *argument)
{
    show("at first");
    deliver("a delivery", looks);
    change("disabled", NULL, 0, SS_DISABLE);
    change("bad flags", own, STACK_SIZE, 77);
    change("too small", own, 100, 0);
    stack_t new = {.ss_sp = own, .ss_size = STACK_SIZE};
#ifdef __GLIBC__ // musl reads it itself
    errno = 0;
    printf("a bad address: %d", sigaltstack((stack_t *)8, NULL));
    printf(", errno %d\n", errno);
#endif
    change("set", own, STACK_SIZE, 0);
    show("then");
    deliver("a delivery", looks);
    change("set again", own, STACK_SIZE, 0);
    change("disabled", NULL, 0, SS_DISABLE);
    show("then");
    deliver("changes in a handler", changes);
    show("when it has returned");
    deliver("a delivery", looks);
    // The old stack cannot be told, but the new one is set.
    int result = sigaltstack(&new, (stack_t *)8);
    printf("a bad address for the old one: %d, errno %d\n", result, errno);
    show("then");
    change("disabled", NULL, 0, SS_DISABLE);
    return argument;
}

static void on_thread(void *(*function)(void *))
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, function, NULL) == 0);
    MUST(pthread_join(thread, NULL) == 0);
}

static void in_child(void)
{
    fflush(stdout);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        printf("in a child\n");
        all(NULL);
        printf("in a thread of a child\n");
        on_thread(all);
        fflush(stdout);
        _exit(0);
    }
    int status;
    MUST(waitpid(child, &status, 0) == child);
    printf("the child's status: %d\n", status);
}

static void in_vfork_child(void)
{
    stack_t now, later, none = {.ss_flags = SS_DISABLE};
    static volatile int bad;
    pid_t child = vfork();
    MUST(child >= 0);
    if (child == 0) {
        bad = sigaltstack(NULL, &now) != 0 || !(now.ss_flags & SS_DISABLE) || now.ss_sp;
        bad |= sigaltstack(&none, NULL) != 0;
        bad |= sigaltstack(NULL, &later) != 0 || later.ss_flags != SS_DISABLE;
        _exit(0);
    }
    int status;
    MUST(waitpid(child, &status, 0) == child);
    printf("vfork: bad %d, status %d\n", bad, status);
    show("after vfork");
}

// Whether the kernel has a stack for this thread, and a guard is below it.
static int kernel_has(void)
{
    stack_t now = {0};
    MUST(raw_call(SYS_sigaltstack, 0, (long)&now, 0, 0) == 0);
    if (now.ss_flags & SS_DISABLE)
        return 0;
    char *below = (char *)now.ss_sp - PAGE;
    // Readable, it would be copied.
    int ends[2];
    MUST(pipe(ends) == 0);
    int guarded = write(ends[1], below, 1) == -1 && errno == EFAULT;
    int there = write(ends[1], now.ss_sp, 1) == 1;
    close(ends[0]), close(ends[1]);
    return guarded && there && now.ss_size >= STACK_SIZE;
}

static void *look(void *argument)
{
    *(int *)argument = kernel_has();
    return NULL;
}

static void *ends_in_handler(void *argument);
static void leave(int signal)
{
    (void)signal;
    pthread_exit(NULL);
}

static void *ends_in_handler(void *argument)
{
    pthread_kill(pthread_self(), SIGUSR2);
    return argument;
}

static void *delivers(void *argument)
{
    pthread_kill(pthread_self(), SIGUSR1);
    return argument;
}

static void *keeps_own(void *argument)
{
    char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(stack != MAP_FAILED && set_altstack(stack, STACK_SIZE) == 0);
    pthread_kill(pthread_self(), SIGUSR1);
    MUST(drop_altstack() == 0);
    MUST(munmap(stack, STACK_SIZE) == 0);
    return argument;
}

static void nothing(int signal) { (void)signal; }

static void churn(void)
{
    void *(*kinds[])(void *) = {delivers, keeps_own, ends_in_handler};
    on_signal(SIGUSR1, nothing, SA_ONSTACK);
    on_signal(SIGUSR2, leave, SA_ONSTACK);
    long maps = 0, locked = 0;
    for (int round = 0; round < 60; round++) {
        pthread_t threads[20];
        for (int i = 0; i < 20; i++)
            MUST(pthread_create(&threads[i], NULL, kinds[i % 3], NULL) == 0);
        for (int i = 0; i < 20; i++)
            MUST(pthread_join(threads[i], NULL) == 0);
        if (round == 29)
            maps = mapping_count(), locked = status_kb("VmLck");
    }
    // Threads that have just ended may still have their stacks, for a moment. If all 600 kept one,
    // there would be two mappings for each.
    long more = mapping_count() - maps, held = status_kb("VmLck") - locked;
    if (more > 120 || held > 4096)
        printf("%ld mappings more, %ld KiB locked more\n", more, held);
    printf("flat\n");
}

int main(int argc, char **argv)
{
    dead_man(60);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    own = fresh_pages(STACK_SIZE);
    if (argc > 1 && !strcmp(argv[1], "kernel")) {
        int main_has = kernel_has(), thread_has = 0, child_has = 0, status;
        pthread_t thread;
        MUST(pthread_create(&thread, NULL, look, &thread_has) == 0);
        MUST(pthread_join(thread, NULL) == 0);
        pid_t child = fork();
        if (child == 0)
            _exit(kernel_has());
        MUST(waitpid(child, &status, 0) == child);
        child_has = WEXITSTATUS(status);
        MUST(set_altstack(own, STACK_SIZE) == 0 && drop_altstack() == 0);
        printf("the kernel has: main %d thread %d child %d again %d\n", main_has, thread_has,
               child_has, kernel_has());
        return 0;
    }
    if (argc > 1 && !strcmp(argv[1], "churn")) {
        churn();
        return 0;
    }
    printf("in main\n");
    all(NULL);
    printf("in a thread\n");
    on_thread(all);
    in_child();
    in_vfork_child();
    return 0;
}
