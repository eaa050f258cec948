// The first process of a pid namespace makes children by the instruction, in namespaces of their
// own where they have the same pid, while other threads set stacks. Each child sets the stack that
// it already has, which must not be taken for the parent's, and another one: nothing is locked in
// it.
// compared: elsewhere
#include "common.h"
#include <sched.h>

static char *set_one(void)
{
    char *stack = plain_pages(STACK_SIZE);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    return stack;
}

// In turn: setting the stack that is already set does little.
static void *keep_setting(void *stacks)
{
    for (int i = 0;; i ^= 1)
        MUST(set_altstack((char *)stacks + i * STACK_SIZE, STACK_SIZE) == 0);
}

int main(void)
{
    dead_man(30);
    MUST(getpid() == 1);
    pthread_t thread;
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&thread, NULL, keep_setting, plain_pages(2 * STACK_SIZE)) == 0);
    char *stack = set_one();
    int hung = 0;
    for (int i = 0; i < 200 && !hung; i++) {
        pid_t child = raw_call(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0);
        MUST(child >= 0);
        if (child == 0) {
            MUST(syscall(SYS_getpid) == 1);
            MUST(set_altstack(stack, STACK_SIZE) == 0);
            set_one();
            _exit(status_kb("VmLck") != 0);
        }
        int status, waited = 0;
        while (waitpid(child, &status, WNOHANG) == 0 && waited++ < 2000)
            usleep(1000);
        if (waited > 2000) {
            hung++;
            kill(child, SIGKILL);
        } else {
            MUST(status == 0);
        }
    }
    printf("hung: %d\n", hung);
    return hung;
}
