// Handlers that use a known number of bytes of their alternate stack. Prints what they used, as
// the library should measure it.
// compared: elsewhere
#include "common.h"

static size_t depth;

// Uses the stack down to exactly `depth` bytes below its top.
static void deep(int signal)
{
    (void)signal;
    stack_t now = {0};
    MUST(raw_call(SYS_sigaltstack, 0, (long)&now, 0, 0) == 0);
    char *top = (char *)now.ss_sp + now.ss_size;
    volatile char *lowest = top - depth;
    *lowest = 1;
}

static void deliver(const char *who, size_t bytes)
{
    stack_t now = {0};
    MUST(raw_call(SYS_sigaltstack, 0, (long)&now, 0, 0) == 0);
    depth = bytes;
    MUST(pthread_kill(pthread_self(), SIGUSR1) == 0);
    printf("%s %d used %zu of %zu\n", who, (int)syscall(SYS_gettid), bytes, now.ss_size);
}

static void *thread(void *argument)
{
    deliver("thread", *(size_t *)argument);
    return NULL;
}

static void *next(void *small)
{
    MUST(set_altstack(small, 8192) == 0);
    if (depth)
        MUST(pthread_kill(pthread_self(), SIGUSR1) == 0);
    depth = 0;
    return NULL;
}

int main(int argc, char **argv)
{
    dead_man(30);
    if (argc > 1 && !strcmp(argv[1], "next")) {
        // Two threads, one after the other, set the same memory. Only the first one's handler runs.
        on_signal(SIGUSR1, deep, SA_ONSTACK);
        char *small = malloc(8192);
        depth = 30001;
        for (int i = 0; i < 2; i++) {
            pthread_t one;
            MUST(pthread_create(&one, NULL, next, small) == 0);
            MUST(pthread_join(one, NULL) == 0);
        }
        return 0;
    }
    if (argc > 1 && !strcmp(argv[1], "own")) {
        // With something in it from before.
        char *stack = malloc(STACK_SIZE);
        MUST(stack);
        memset(stack, 0x5a, STACK_SIZE);
        MUST(set_altstack(stack, STACK_SIZE) == 0);
        int flags = argc > 2 && !strcmp(argv[2], "info") ? SA_ONSTACK | SA_SIGINFO : SA_ONSTACK;
        on_signal(SIGUSR1, deep, flags);
        deliver("main", 40001);
        if (argc > 2) {
            // A second signal, which uses less.
            on_signal(SIGUSR2, deep, flags);
            depth = 30000;
            MUST(raise(SIGUSR2) == 0);
        }
        return 0;
    }
    if (argc > 1 && !strcmp(argv[1], "gone")) {
        // Unmapped past libc, and still set when the program ends.
        char *stack = plain_pages(STACK_SIZE);
        MUST(set_altstack(stack, STACK_SIZE) == 0);
        MUST(raw_call(SYS_munmap, (long)stack, STACK_SIZE, 0, 0) == 0);
        return 0;
    }
    on_signal(SIGUSR1, deep, SA_ONSTACK);
    pthread_t threads[2];
    size_t bytes[2] = {50000, 60001};
    for (int i = 0; i < 2; i++) {
        MUST(pthread_create(&threads[i], NULL, thread, &bytes[i]) == 0);
        MUST(pthread_join(threads[i], NULL) == 0);
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        exit(0);
    MUST(waitpid(child, NULL, 0) == child);
    deliver("main", 55555);
    return 0;
}
