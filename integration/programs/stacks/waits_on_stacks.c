/* The main thread has an alternate stack of 64 KiB, with "guard" a guard inside, on which a handler has
 * used 40,001 bytes. Another thread sets none: its handler has used 30,001 bytes of whatever the kernel has for it,
 * if that is anything. Prints where the program's stack is, and both threads' numbers, and waits until
 * its standard input ends. */
// compared: elsewhere
#include "common.h"

static int used;
static volatile int other;

static void deep(int signal)
{
    (void)signal;
    stack_t now = {0};
    MUST(raw_call(SYS_sigaltstack, 0, (long)&now, 0, 0) == 0);
    if (now.ss_flags & SS_DISABLE)
        return;
    volatile char *lowest = (char *)now.ss_sp + now.ss_size - used;
    *lowest = 1;
}

static void *without(void *unused)
{
    used = 30001;
    MUST(pthread_kill(pthread_self(), SIGUSR1) == 0);
    other = (int)syscall(SYS_gettid);
    pause();
    return unused;
}

int main(int argc, char **argv)
{
    dead_man(60);
    on_signal(SIGUSR1, deep, SA_ONSTACK);
    char *stack = fresh_pages(STACK_SIZE);
    if (argc > 1 && !strcmp(argv[1], "guard"))
        MUST(mprotect(stack, PAGE, PROT_NONE) == 0);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    used = 40001;
    MUST(raise(SIGUSR1) == 0);
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, without, NULL) == 0);
    while (!other)
        usleep(100);
    printf("stack %lu %d %d\n", (unsigned long)stack, (int)getpid(), other);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return 0;
}
