// A thread overflows its stack. The program has a SIGSEGV handler, but gave no thread an alternate
// stack and did not set SA_ONSTACK.
// compared: elsewhere
#include "common.h"
#include <setjmp.h>

static sigjmp_buf out;
static const char *how;
static volatile int rounds;

static void on_fault(int signal)
{
    (void)signal;
    if (!strcmp(how, "jump"))
        siglongjmp(out, 1);
    static const char line[] = "the handler ran\n";
    MUST(write(1, line, sizeof line - 1) == sizeof line - 1);
    _exit(3);
}

__attribute__((noinline)) static int deeper(volatile char *above)
{
    volatile char here[4096];
    here[0] = above[0] + 1;
    if (rounds < 0) // never
        return 0;
    return deeper(here) + here[0];
}

static void *overflow(void *argument)
{
    volatile char top[8] = {0};
    // With "jump", each recovery leaves the handler by siglongjmp.
    while (sigsetjmp(out, 1) != 0 && ++rounds < 3)
        ;
    if (rounds < 3)
        deeper(top);
    return argument;
}

static int on_thread(void)
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, overflow, NULL) == 0);
    return pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    dead_man(30);
    MUST(argc == 3);
    const char *where = argv[1];
    how = argv[2];
    struct sigaction action = {.sa_handler = on_fault}, old;
    MUST(sigaction(SIGSEGV, &action, NULL) == 0);
    MUST(sigaction(SIGSEGV, NULL, &old) == 0);
    MUST(old.sa_handler == on_fault && !(old.sa_flags & SA_ONSTACK));
    if (!strcmp(where, "main"))
        overflow(NULL);
    else
        MUST(on_thread() == 0);
    printf("recovered %d times\n", rounds);
    return 0;
}
