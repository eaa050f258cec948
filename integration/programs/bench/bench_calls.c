// Makes one kind of call many times: bench_calls CALL ROUNDS CALLS. Prints the minimum and median
// nanoseconds per call over the rounds. With one round, which is for counting instructions, it
// prints nothing.
// compared: elsewhere
#include "bench.h"

static char *stacks[2];

static void handler(int signal) { (void)signal; }

static void install(int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    MUST(sigaction(SIGUSR1, &action, NULL) == 0);
}

static void plain_handler(void) { install(SA_RESTART); }
static void altstack_handler(void) { install(SA_RESTART | SA_ONSTACK); }

// Two stacks in turn, so that each call replaces a stack.
static void altstack_set(void)
{
    static unsigned turn;
    MUST(set_altstack(stacks[turn++ % 2], STACK_SIZE) == 0);
}

static void altstack_query(void)
{
    stack_t now;
    MUST(sigaltstack(NULL, &now) == 0);
}

static void wait_none(void)
{
    int status;
    struct rusage usage;
    MUST(wait4(-1, &status, WNOHANG, &usage) == -1 && errno == ECHILD);
}

static void waitpid_none(void)
{
    int status;
    MUST(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD);
}

static void waitpid_blocking(void)
{
    int status;
    MUST(waitpid(-1, &status, 0) == -1 && errno == ECHILD);
}

static void wait_for_child(useconds_t sleep)
{
    int status;
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        if (sleep)
            usleep(sleep);
        _exit(0);
    }
    MUST(waitpid(child, &status, 0) == child);
}

static void child_ended(void) { wait_for_child(0); }
static void child_sleeps(void) { wait_for_child(5000); }

static const struct {
    const char *name;
    void (*call)(void);
} CALLS[] = {
    {"sigaction", plain_handler},        {"sigaction-onstack", altstack_handler},
    {"sigaltstack-set", altstack_set},   {"sigaltstack-query", altstack_query},
    {"wait4", wait_none},                {"waitpid", waitpid_none},
    {"waitpid-block", waitpid_blocking}, {"child-ended", child_ended},
    {"child-sleeps", child_sleeps},
};

int main(int argc, char **argv)
{
    dead_man(60);
    MUST(argc == 4);
    void (*call)(void) = NULL;
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++)
        if (!strcmp(CALLS[i].name, argv[1]))
            call = CALLS[i].call;
    int rounds = atoi(argv[2]), calls = atoi(argv[3]);
    MUST(call && rounds > 0 && calls > 0);
    for (int i = 0; i < 2; i++)
        stacks[i] = fresh_pages(STACK_SIZE);
    MUST(set_altstack(stacks[0], STACK_SIZE) == 0);

    double *each = calloc(rounds, sizeof *each);
    MUST(each);
    for (int round = 0; round < rounds; round++) {
        int64_t start = now();
        for (int i = 0; i < calls; i++)
            call();
        each[round] = (double)(now() - start) / calls;
    }
    if (rounds > 1)
        report(each, rounds);
    return 0;
}
