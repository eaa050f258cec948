// A signal is taken on an alternate stack that the kernel was asked to page out after it was
// registered. The argument names the program that asks (evict.c), which runs without our preloads.
#include "common.h"
#include <spawn.h>

static volatile sig_atomic_t seen;

static void handler(int signal) { seen += signal == SIGUSR1; }

static void evict(char *program, char *base)
{
    char pid[32], address[32], size[32];
    snprintf(pid, sizeof pid, "%d", getpid());
    snprintf(address, sizeof address, "%p", base);
    snprintf(size, sizeof size, "%lu", STACK_SIZE);
    char *arguments[] = {program, pid, address, size, NULL}, *nothing[] = {NULL};
    pid_t child;
    int status;
    // Not fork, which would write-protect the pages.
    MUST(posix_spawn(&child, program, NULL, NULL, arguments, nothing) == 0);
    MUST(waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv)
{
    dead_man(60);
    char *stack = fresh_pages(STACK_SIZE);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    if (argc > 1) {
        printf("registered: present %ld pages\n", present_pages(stack, STACK_SIZE));
        evict(argv[1], stack);
        printf("evicted: present %ld pages\n", present_pages(stack, STACK_SIZE));
    }
    MUST(raise(SIGUSR1) == 0);
    printf("signals: %d\n", (int)seen);
    return seen != 1;
}
