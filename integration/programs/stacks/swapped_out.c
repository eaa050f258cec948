/* A handler that leaves by swapcontext(3) and is resumed later, after its thread has set other stacks
 * and taken signals on them. */
// only: glibc
#include "common.h"

#include <ucontext.h>

enum { SIZE = 16 * 1024, WORDS = 200 };

static ucontext_t outside, inside;
static char *stacks[3];
static volatile int leaves, ran;

static const char *shown(void)
{
    stack_t now;
    MUST(sigaltstack(NULL, &now) == 0);
    for (int i = 0; i < 3; i++)
        if (now.ss_sp == stacks[i] && now.ss_size == SIZE)
            return now.ss_flags & SS_ONSTACK ? (const char *[]){"on 0", "on 1", "on 2"}[i]
                                             : (const char *[]){"0", "1", "2"}[i];
    return now.ss_flags & SS_DISABLE ? "none" : "another";
}

static void handler(int signal)
{
    (void)signal;
    ran++;
    if (!leaves)
        return;
    leaves = 0;
    volatile int own[WORDS];
    for (int i = 0; i < WORDS; i++)
        own[i] = i * 7;
    printf("in the handler: %s\n", shown());
    MUST(swapcontext(&inside, &outside) == 0);
    int intact = 1;
    for (int i = 0; i < WORDS; i++)
        intact &= own[i] == i * 7;
    printf("resumed: %s, intact %d\n", shown(), intact);
}

// Goes on in a context of its own while the handler waits.
static void meanwhile(void)
{
    printf("outside: %s\n", shown());
    for (int i = 1; i < 3; i++) {
        MUST(set_altstack(stacks[i], SIZE) == 0);
        raise(SIGUSR1);
        printf("another: %s\n", shown());
    }
    setcontext(&inside);
}

static void *run(void *unused)
{
    char *own = fresh_pages(STACK_SIZE);
    for (int i = 0; i < 3; i++)
        stacks[i] = fresh_pages(SIZE);
    for (int round = 0; round < 20; round++) {
        ran = 0;
        MUST(set_altstack(stacks[0], SIZE) == 0);
        MUST(getcontext(&outside) == 0);
        outside.uc_stack = (stack_t){.ss_sp = own, .ss_size = STACK_SIZE};
        outside.uc_link = NULL;
        makecontext(&outside, meanwhile, 0);
        leaves = 1;
        raise(SIGUSR1);
        printf("returned: %s, handlers %d\n", shown(), ran);
    }
    return unused;
}

int main(void)
{
    dead_man(60);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    run(NULL);
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, run, NULL) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    return 0;
}
