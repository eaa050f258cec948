// A thread sets again the alternate stack that it already has. The argument says what happens to
// the stack in between; a library cannot see all of it. Then a signal is taken on it.
//
//   nothing     nothing
//   disabled    SS_DISABLE
//   unlocked    unlocked and its pages dropped, past libc
//   replaced    other memory is mapped in its place, past libc
//   mapped      the same through libc's mmap
//   shortened   the same past libc, for its upper half
//   patched     its upper half is unmapped through libc and mapped again past libc
//   copied      the process is copied past libc, which write-protects the stack
// compared: elsewhere
#include "common.h"

static volatile sig_atomic_t seen;

static void handler(int signal) { seen += signal == SIGUSR1; }

static char *stack;

static void replace(char *at, size_t size, int unseen)
{
    int writable = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    if (!unseen) {
        MUST(mmap(at, size, writable, flags, -1, 0) == at);
        return;
    }
    MUST(raw_map(at, size) == at);
}

int main(int argc, char **argv)
{
    dead_man(60);
    const char *what = argc > 1 ? argv[1] : "nothing";
    stack = fresh_pages(STACK_SIZE);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    for (int i = 0; i < 3; i++)
        MUST(set_altstack(stack, STACK_SIZE) == 0);

    pid_t copy = 0;
    if (!strcmp(what, "disabled")) {
        MUST(drop_altstack() == 0);
    } else if (!strcmp(what, "unlocked")) {
        MUST(raw_call(SYS_munlock, (long)stack, STACK_SIZE, 0, 0) == 0);
        MUST(raw_call(SYS_madvise, (long)stack, STACK_SIZE, MADV_DONTNEED, 0) == 0);
    } else if (!strcmp(what, "replaced")) {
        replace(stack, STACK_SIZE, 1);
    } else if (!strcmp(what, "mapped")) {
        replace(stack, STACK_SIZE, 0);
    } else if (!strcmp(what, "shortened")) {
        replace(stack + STACK_SIZE / 2, STACK_SIZE / 2, 1);
    } else if (!strcmp(what, "patched")) {
        MUST(munmap(stack + STACK_SIZE / 2, STACK_SIZE / 2) == 0);
        replace(stack + STACK_SIZE / 2, STACK_SIZE / 2, 1);
    } else if (!strcmp(what, "copied")) {
        copy = raw_call(SYS_clone, SIGCHLD, 0, 0, 0);
        MUST(copy >= 0);
        while (copy == 0)
            raw_call(SYS_pause, 0, 0, 0, 0);
    } else {
        MUST(!strcmp(what, "nothing"));
    }

    stack_t again = {.ss_sp = stack, .ss_size = STACK_SIZE}, before;
    MUST(sigaltstack(&again, &before) == 0);
    MUST(!strcmp(what, "disabled") || before.ss_sp == stack);
    fprintf(stderr, "locked %ld\n", locked_pages(stack, STACK_SIZE));
    MUST(raise(SIGUSR1) == 0);
    if (copy)
        MUST(kill(copy, SIGKILL) == 0 && waitpid(copy, NULL, 0) == copy);
    // A lock that nobody releases would be visible to the program.
    MUST(drop_altstack() == 0);
    fprintf(stderr, "locked %ld\n", locked_pages(stack, STACK_SIZE));
    printf("signals: %d\n", (int)seen);
    return seen != 1;
}
