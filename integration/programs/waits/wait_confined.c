/*
 * Waits under a seccomp filter that kills the process for any system call of another
 * architecture, as systemd's SystemCallArchitectures=native does.
 *
 * wait_confined late     the program installs the filter itself
 * wait_confined early    it does, then executes itself: the filter is in place
 *                        when the library is loaded
 */
// compared: elsewhere
#include "common.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

static volatile sig_atomic_t handled;

static void on_alarm(int signal)
{
    (void)signal;
    handled++;
}

static void confine(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = 4, .filter = rules};
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

__attribute__((unused)) static int waited(void)
{
    pid_t child = fork();
    int status;
    if (!child) {
        usleep(20000);
        _exit(5);
    }
    return waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 5;
}

int main(int argc, char **argv)
{
    struct sigaction old;

    dead_man(20);
    if (argc > 2)
        return !waited();
    on_signal(SIGALRM, on_alarm, 0);
    printf("before %d\n", waited());
    fflush(stdout);
    confine();
    if (argc > 1 && !strcmp(argv[1], "early"))
        execl("/proc/self/exe", argv[0], argv[1], "again", NULL);
    printf("after %d\n", waited());
    MUST(sigaction(SIGALRM, NULL, &old) == 0);
    printf("handler kept %d\n", old.sa_handler == on_alarm);
    return 0;
}
