// The first process of a pid namespace makes children in namespaces of their own, which have its
// pid, by a raw clone(2) while other threads set stacks. Each child sets one, too.
// compared: elsewhere
#include "common.h"
#include <sched.h>

static void set_one(void) { MUST(set_altstack(plain_pages(STACK_SIZE), STACK_SIZE) == 0); }

static void *keep_setting(void *stack)
{
    for (;;)
        MUST(set_altstack(stack, STACK_SIZE) == 0);
}

int main(void)
{
    dead_man(30);
    MUST(getpid() == 1);
    pthread_t thread;
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&thread, NULL, keep_setting, plain_pages(STACK_SIZE)) == 0);
    set_one();
    int hung = 0;
    for (int i = 0; i < 200 && !hung; i++) {
        pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
        MUST(child >= 0);
        if (child == 0) {
            MUST(syscall(SYS_getpid) == 1);
            set_one();
            _exit(0);
        }
        int status, waited = 0;
        while (waitpid(child, &status, WNOHANG) == 0 && waited++ < 2000)
            usleep(1000);
        if (waited > 2000) {
            hung++;
            kill(child, SIGKILL);
        }
    }
    printf("hung: %d\n", hung);
    return hung;
}
