// Handlers that interrupt a call and make the same call: a timer fires all the time while the
// program calls. Arguments: the call; "onstack" if the handlers run on the alternate stack. With
// "sigaltstack" the kernel undoes what a handler has set as soon as the handler returns.
// compared: elsewhere
#include "common.h"
#include <sys/time.h>

#define WANTED 3000

static char *stacks[4];
static const char *kind;
static volatile sig_atomic_t seen;
static volatile int bad;

#define CHECK(call)                                                                             \
    do {                                                                                        \
        if (!(call))                                                                            \
            bad = __LINE__;                                                                     \
    } while (0)

static void on_other(int signal) { (void)signal; }

// Main uses stacks 0 and 1, the handler 2 and 3.
static void call(int which, int round)
{
    char *stack = stacks[which + round % 2];
    if (!strcmp(kind, "sigaltstack")) {
        stack_t now;
        CHECK(set_altstack(stack, STACK_SIZE) == 0);
        CHECK(sigaltstack(NULL, &now) == 0 && now.ss_sp == stack && !(now.ss_flags & SS_DISABLE));
        if (round % 3 == 0) {
            CHECK(drop_altstack() == 0);
            CHECK(sigaltstack(NULL, &now) == 0 && now.ss_flags & SS_DISABLE);
        }
    } else if (!strcmp(kind, "sigaction")) {
        struct sigaction action = {.sa_handler = on_other, .sa_flags = SA_ONSTACK}, old;
        CHECK(sigaction(SIGUSR1 + which / 2 * 2, &action, &old) == 0);
    } else if (!strcmp(kind, "madvise")) {
        stack[0] = 1;
        CHECK(madvise(stack, STACK_SIZE, MADV_DONTNEED) == 0);
        CHECK(stack[0] == 0);
        // The other call and the alternate stack may also be in this range.
        CHECK(madvise(stacks[1 - round % 2], STACK_SIZE / 2, MADV_DONTNEED) == 0);
    } else if (!strcmp(kind, "mmap")) {
        char *at = which == 0 ? stack : NULL;
        char *map = mmap(at, STACK_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);
        CHECK(map != MAP_FAILED && map[0] == 0);
        map[0] = 1;
        CHECK(mprotect(map, STACK_SIZE, PROT_READ | PROT_WRITE) == 0);
        CHECK(at || munmap(map, STACK_SIZE) == 0);
    } else if (!strcmp(kind, "mlock")) {
        CHECK(mlock(stack, 2 * PAGE) == 0);
        CHECK(munlock(stack, 2 * PAGE) == 0);
    } else if (!strcmp(kind, "fork")) {
        pid_t child = fork();
        if (child == 0)
            _exit(drop_altstack() == 0 || which ? 0 : 1);
        int status = -1;
        while (waitpid(child, &status, 0) != child)
            CHECK(errno == EINTR);
        CHECK(status == 0);
    }
}

static void on_timer(int signal)
{
    (void)signal;
    int error = errno;
    call(2, seen);
    seen++;
    errno = error;
}

int main(int argc, char **argv)
{
    dead_man(60);
    MUST(argc > 1);
    kind = argv[1];
    int onstack = argc > 2 && !strcmp(argv[2], "onstack");
    int wanted = !strcmp(kind, "fork") ? WANTED / 20 : WANTED;
    for (int i = 0; i < 4; i++)
        stacks[i] = fresh_pages(STACK_SIZE);
    long before = status_kb("VmLck");
    // The current stack must not be one that the calls discard under a running handler.
    char *own = onstack ? fresh_pages(STACK_SIZE) : stacks[0];
    MUST(set_altstack(own, STACK_SIZE) == 0);
    // With SA_SIGINFO: the other frame of 32-bit programs does not save the alternate stack.
    on_signal(SIGALRM, on_timer, SA_SIGINFO | SA_RESTART | (onstack ? SA_ONSTACK : 0));
    // An interrupted fork starts again: leave it time to finish.
    int pause = !strcmp(kind, "fork") ? 5000 : 60;
    struct itimerval often = {{0, pause}, {0, pause}}, never = {{0, 0}, {0, 0}};
    MUST(setitimer(ITIMER_REAL, &often, NULL) == 0);
    int round = 0;
    while (seen < wanted && !bad)
        call(0, round++);
    MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
    MUST(drop_altstack() == 0);
    for (int i = 0; i < 4; i++)
        munlock(stacks[i], STACK_SIZE);
    printf("%s: bad line %d, enough %d, locked at the end %ld kB more\n", kind, bad, seen >= wanted,
           status_kb("VmLck") - before);
    return 0;
}
