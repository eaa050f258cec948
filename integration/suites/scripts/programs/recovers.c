// Recovers from stack overflows by libsigsegv, on a stack of 16 KiB for the handler.
#include <setjmp.h>
#include <signal.h>
#include <sigsegv.h>
#include <stdio.h>

static char extra[16384];
static sigjmp_buf back;

static void resume(void *a, void *b, void *c)
{
    (void)a, (void)b, (void)c;
    siglongjmp(back, 1);
}

static void overflow(int emergency, stackoverflow_context_t where)
{
    sigset_t none;
    (void)emergency, (void)where;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    sigsegv_leave_handler(resume, NULL, NULL, NULL);
}

static int fault(void *address, int serious)
{
    (void)address, (void)serious;
    return 0;
}

static int deeper(int depth)
{
    volatile char room[200];
    room[0] = depth;
    return depth ? deeper(depth + 1) + room[0] : 0;
}

int main(void)
{
    stackoverflow_install_handler(overflow, extra, sizeof extra);
    sigsegv_install_handler(fault);
    for (volatile int turn = 1; turn <= 5; turn++) {
        if (!sigsetjmp(back, 1))
            deeper(1);
        printf("ok libsigsegv: stack overflow, turn %d\n", turn);
    }
    return 0;
}
