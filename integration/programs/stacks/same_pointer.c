// Threads with the same thread pointer; each sets its alternate stack twice. The argument says
// who shares the pointer:
//
//   next     threads one after another, which all set the same stack
//   shared   two threads at a time: clone(2) without a thread pointer for the new one
//   vfork    the child of a vfork, which sets its parent's stack, and another
// compared: elsewhere
#include "common.h"
#include <sched.h>

static char *stack, *other;
static volatile int stage;

static void set_twice(char *which)
{
    for (int i = 0; i < 2; i++)
        MUST(set_altstack(which, STACK_SIZE) == 0);
}

static void *next(void *argument)
{
    (void)argument;
    set_twice(stack);
    fprintf(stderr, "locked %ld\n", locked_pages(stack, STACK_SIZE));
    return NULL;
}

static int beside(void *argument)
{
    (void)argument;
    set_twice(other);
    stage = 1;
    while (stage != 2)
        ;
    set_twice(other);
    stage = 3;
    while (stage)
        raw_call(SYS_pause, 0, 0, 0, 0);
    return 0;
}

static void report(void)
{
    fprintf(stderr, "locked %ld %ld\n", locked_pages(stack, STACK_SIZE), locked_pages(other, STACK_SIZE));
}

int main(int argc, char **argv)
{
    dead_man(20);
    const char *whose = argc > 1 ? argv[1] : "next";
    stack = plain_pages(STACK_SIZE), other = plain_pages(STACK_SIZE);
    if (!strcmp(whose, "next")) {
        for (int i = 0; i < 20; i++) {
            pthread_t thread;
            MUST(pthread_create(&thread, NULL, next, NULL) == 0);
            MUST(pthread_join(thread, NULL) == 0);
        }
        fprintf(stderr, "locked %ld\n", locked_pages(stack, STACK_SIZE));
        return 0;
    }
    set_twice(stack);
    if (!strcmp(whose, "shared")) {
        int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
        char *room = plain_pages(64 * PAGE);
        MUST(clone(beside, room + 64 * PAGE, flags, NULL) > 0);
        while (stage != 1)
            ;
        report();
        set_twice(stack);
        report();
        stage = 2;
        while (stage != 3)
            ;
    } else {
        pid_t child = vfork();
        MUST(child >= 0);
        if (child == 0) {
            set_altstack(stack, STACK_SIZE);
            set_altstack(other, STACK_SIZE);
            _exit(0);
        }
        MUST(waitpid(child, NULL, 0) == child);
    }
    report();
    set_twice(stack);
    report();
    _exit(0);
}
