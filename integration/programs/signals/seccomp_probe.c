// Finds out whether the kernel has seccomp filters, as libraries do: with a null filter, which
// fails with EFAULT. "vfork": in a vfork child. Then waits for a child in such a way that the kernel
// restarts the wait.
// compared: elsewhere
#include "common.h"
#include <linux/seccomp.h>
#include <sys/prctl.h>

static void nothing(int signal) { (void)signal; }

static void ask(void)
{
    MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == -1 && errno == EFAULT);
}

int main(int argc, char **argv)
{
    int status;
    dead_man(20);
    if (argc > 1 && !strcmp(argv[1], "vfork")) {
        pid_t asking = vfork();
        if (asking == 0) {
            ask();
            _exit(0);
        }
        MUST(waitpid(asking, &status, 0) == asking);
    } else
        ask();
    on_signal(SIGUSR1, nothing, SA_RESTART);
    pid_t child = fork();
    if (child == 0) {
        usleep(20000);
        kill(getppid(), SIGUSR1);
        usleep(20000);
        _exit(5);
    }
    MUST(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 5);
    return 0;
}
