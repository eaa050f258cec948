/* A wait that two alarms without SA_RESTART interrupt; the second ends the child. */
// compared: elsewhere
#include "common.h"

static volatile sig_atomic_t handled;
static pid_t child;

static void on_alarm(int signal)
{
    (void)signal;
    if (++handled == 2)
        kill(child, SIGKILL);
    else
        ualarm(20000, 0);
}

int main(void)
{
    on_signal(SIGALRM, on_alarm, 0);
    child = fork();
    if (!child) {
        dead_man(20);
        for (;;)
            pause();
    }
    ualarm(20000, 0);
    pid_t got = waitpid(child, NULL, 0);
    if (got != child && errno != EINTR)
        return 1;
    printf("%s, after %d handlers\n", got == child ? "child" : "EINTR", (int)handled);
    if (got != child)
        kill(child, SIGKILL);
    return 0;
}
