// A library that brings threads into a program: one registers a stack, takes a signal, and ends.
#include "common.h"

static void handler(int signal) { (void)signal; }

static void *with_stack(void *stack)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    MUST(sigaction(SIGUSR1, &action, NULL) == 0);
    MUST(pthread_kill(pthread_self(), SIGUSR1) == 0);
    return stack;
}

void run_thread(void *stack)
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, with_stack, stack) == 0);
    MUST(pthread_join(thread, NULL) == 0);
}
