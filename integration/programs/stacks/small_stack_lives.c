/* What a small stack goes through besides signals: flags, forks, stacks that a handler sets, jumps
 * out, threads. The program's own view is printed; it must be the same with and without the
 * library. */
#include "common.h"

#include <sched.h>
#include <setjmp.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

enum { SIZE = 8192 };

static char *first, *second;
static sigjmp_buf out;

static const char *name(const void *base)
{
    return base == first ? "first" : base == second ? "second" : base ? "another" : "none";
}

static void show(const char *when)
{
    stack_t now;
    MUST(sigaltstack(NULL, &now) == 0);
    int disabled = now.ss_flags & SS_DISABLE;
    printf("%s: %s %zu %s\n", when, disabled ? "-" : name(now.ss_sp), disabled ? 0 : now.ss_size,
           disabled ? "disabled" : now.ss_flags & SS_ONSTACK ? "on it" : "set");
    fflush(stdout);
}

static void set(char *base, int flags, const char *what)
{
    stack_t new = {.ss_sp = base, .ss_size = SIZE, .ss_flags = flags}, old;
    memset(&old, 0, sizeof old);
    int result = sigaltstack(&new, &old);
    printf("%s: %d, before %s\n", what, result,
           result || old.ss_flags & SS_DISABLE ? "-" : name(old.ss_sp));
    fflush(stdout);
}

static void shows(int signal)
{
    (void)signal;
    show("in a handler");
}

static void jumps(int signal)
{
    (void)signal;
    show("in a handler");
    siglongjmp(out, 1);
}

static void sets_second(int signal)
{
    (void)signal;
    show("in a handler");
    set(second, 0, "set in it");
    show("in it then");
}

static void *thread(void *unused)
{
    (void)unused;
    show("thread");
    set(second, 0, "thread sets");
    raise(SIGUSR1);
    return NULL;
}

static void wait_for(pid_t child)
{
    int status;
    MUST(waitpid(child, &status, 0) == child);
    printf("child: %d\n", status);
}

int main(void)
{
    dead_man(20);
    first = fresh_pages(SIZE), second = fresh_pages(SIZE);
    show("at first");
    set(first, 0, "set");
    on_signal(SIGUSR1, shows, SA_ONSTACK);
    raise(SIGUSR1);

    puts("-- fork");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        show("child");
        raise(SIGUSR1);
        set(second, 0, "child sets");
        raise(SIGUSR1);
        set(second, SS_DISABLE, "child disables");
        show("child");
        _exit(7);
    }
    wait_for(child);
    show("parent");
    raise(SIGUSR1);

    puts("-- vfork");
    fflush(stdout);
    child = vfork();
    if (child == 0) {
        show("child");
        set(second, 0, "child sets");
        show("child");
        _exit(8);
    }
    wait_for(child);
    show("parent");
    raise(SIGUSR1);

    puts("-- jump out");
    on_signal(SIGUSR1, jumps, SA_ONSTACK | SA_NODEFER);
    for (volatile int i = 0; i < 3; i++)
        if (sigsetjmp(out, 1) == 0)
            raise(SIGUSR1);
    show("after it");

    puts("-- from a handler on the ordinary stack");
    on_signal(SIGUSR1, sets_second, 0);
    raise(SIGUSR1);
    show("the kernel put back");
    on_signal(SIGUSR1, sets_second, SA_ONSTACK);
    raise(SIGUSR1);
    show("refused");

    puts("-- autodisarm");
    set(first, (int)SS_AUTODISARM, "set");
    raise(SIGUSR1);
    show("the kernel put back");
    on_signal(SIGUSR1, shows, SA_ONSTACK);
    raise(SIGUSR1);

    puts("-- another thread");
    pthread_t other;
    MUST(pthread_create(&other, NULL, thread, NULL) == 0);
    MUST(pthread_join(other, NULL) == 0);
    show("main");
    raise(SIGUSR1);
    set(first, SS_DISABLE, "disable");
    set(second, SS_DISABLE, "again");
    show("at last");
    return 0;
}
