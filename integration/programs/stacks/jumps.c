// Jumps out of whatever a timer's signal interrupts: by siglongjmp from handlers on the alternate
// stack, and by swapcontext between contexts.
// only: glibc
// compared: elsewhere
#include "common.h"
#include <setjmp.h>
#include <sys/time.h>
#include <ucontext.h>

#define JUMPS 2000

static char *stacks[2], *spare;
static sigjmp_buf out;
static volatile sig_atomic_t armed, jumps;
static ucontext_t main_context, worker;
static volatile int bad, swaps;

#define CHECK(call)                                                                             \
    do {                                                                                        \
        if (!(call))                                                                            \
            bad = __LINE__;                                                                     \
    } while (0)

static void on_timer(int signal)
{
    (void)signal;
    if (armed) {
        armed = 0;
        jumps++;
        siglongjmp(out, 1);
    }
}

static void calls(int round)
{
    CHECK(set_altstack(stacks[round % 2], STACK_SIZE) == 0);
    CHECK(madvise(stacks[round % 2], STACK_SIZE, MADV_DONTNEED) == 0);
    CHECK(mlock(spare, PAGE) == 0);
    CHECK(munlock(spare, PAGE) == 0);
    CHECK(mprotect(stacks[round % 2], STACK_SIZE, PROT_READ | PROT_WRITE) == 0);
    CHECK(drop_altstack() == 0);
}

static void work(void)
{
    for (int round = 0;; round++) {
        calls(round);
        swaps++;
        CHECK(swapcontext(&worker, &main_context) == 0);
    }
}

int main(void)
{
    dead_man(60);
    for (int i = 0; i < 2; i++)
        stacks[i] = fresh_pages(STACK_SIZE);
    spare = fresh_pages(STACK_SIZE);
    long before = status_kb("VmLck");
    on_signal(SIGALRM, on_timer, SA_ONSTACK);
    struct itimerval often = {{0, 150}, {0, 150}}, never = {{0, 0}, {0, 0}};
    MUST(setitimer(ITIMER_REAL, &often, NULL) == 0);
    volatile int round = 0;
    while (jumps < JUMPS && !bad) {
        if (sigsetjmp(out, 1) == 0) {
            armed = 1;
            for (;;)
                calls(round++);
        }
    }
    MUST(getcontext(&worker) == 0);
    worker.uc_stack.ss_sp = fresh_pages(STACK_SIZE);
    worker.uc_stack.ss_size = STACK_SIZE;
    worker.uc_link = NULL;
    makecontext(&worker, work, 0);
    for (int i = 0; i < 500; i++) {
        calls(i);
        CHECK(swapcontext(&main_context, &worker) == 0);
    }
    MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
    MUST(drop_altstack() == 0);
    MUST(munlock(spare, PAGE) == 0);
    printf("jumps %d swaps %d bad line %d locked %ld kB more\n", (int)jumps, swaps, bad,
           status_kb("VmLck") - before);
    return 0;
}
