/* A thread unmaps its alternate stack and does not tell the kernel. The next signal would kill the
 * program. */
// compared: elsewhere
#include "common.h"

static char *stack;
static volatile int on_it;

static void handler(int signal)
{
    (void)signal;
    char *here = __builtin_frame_address(0);
    on_it = here >= stack && here < stack + STACK_SIZE;
}

static void deliver(const char *when)
{
    stack_t now;
    on_it = -1;
    raise(SIGUSR1);
    MUST(sigaltstack(NULL, &now) == 0);
    printf("%s: on the stack %d, sees its own %d, flags %d\n", when, on_it,
           now.ss_sp == stack && now.ss_size == STACK_SIZE, now.ss_flags);
    fflush(stdout);
}

static void *work(void *unused)
{
    (void)unused;
    stack = plain_pages(STACK_SIZE);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    deliver("set");
    MUST(munmap(stack, (size_t)-1 / 2 / PAGE * PAGE) == -1);
    deliver("a call that failed");
    MUST(munmap(stack, STACK_SIZE) == 0);
    deliver("unmapped");
    char *again = mmap(stack, STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    MUST(again == stack);
    deliver("mapped again");
    MUST(munmap(stack, STACK_SIZE) == 0);
    stack_t new = {.ss_flags = SS_DISABLE}, old;
    MUST(sigaltstack(&new, &old) == 0);
    printf("disabled: its own before %d\n", old.ss_sp == stack);
    MUST(sigaltstack(NULL, &old) == 0);
    printf("now: flags %d\n", old.ss_flags);
    return NULL;
}

int main(void)
{
    dead_man(20);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    work(NULL);
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, work, NULL) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    return 0;
}
