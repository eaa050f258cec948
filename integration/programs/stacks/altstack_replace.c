// An alternate stack is set, replaced and disabled; after each step a signal is taken. With the
// argument "locked" it also prints which pages are locked and the value of VmLck.
#include "common.h"

static volatile sig_atomic_t seen;
static char *first, *second;
static int shows_locks;

static void handler(int signal) { seen += signal == SIGUSR1; }

static void step(const char *name)
{
    MUST(raise(SIGUSR1) == 0);
    stack_t now;
    MUST(sigaltstack(NULL, &now) == 0);
    const char *which = now.ss_sp == first ? "first" : now.ss_sp == second ? "second" : "none";
    printf("%s: %s, flags %d, size %zu, signals %d", name, which, now.ss_flags, now.ss_size, (int)seen);
    if (shows_locks)
        printf(", locked first %ld second %ld, VmLck %ld kB", locked_pages(first, STACK_SIZE),
               locked_pages(second, STACK_SIZE), status_kb("VmLck"));
    printf("\n");
}

int main(int argc, char **argv)
{
    shows_locks = argc > 1 && !strcmp(argv[1], "locked");
    dead_man(20);
    first = fresh_pages(STACK_SIZE);
    second = fresh_pages(STACK_SIZE);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    step("start");
    MUST(set_altstack(first, STACK_SIZE) == 0);
    step("set");
    MUST(set_altstack(first, STACK_SIZE) == 0);
    step("set again");
    MUST(set_altstack(second, STACK_SIZE) == 0);
    step("replaced");
    MUST(drop_altstack() == 0);
    step("disabled");
    return 0;
}
