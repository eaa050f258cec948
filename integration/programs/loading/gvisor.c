// Runs a program for which uname(2) returns what gVisor returns. Linked statically, so that
// preloads get into that program only.
// build: -static
// only: glibc
// only: 64-bit
// compared: elsewhere
#include "common.h"
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/utsname.h>

static void put(pid_t child, unsigned long place, const char *text)
{
    for (size_t at = 0; at <= strlen(text); at += sizeof(long)) {
        long word = 0;
        strncpy((char *)&word, text + at, sizeof word);
        MUST(ptrace(PTRACE_POKEDATA, child, place + at, word) == 0);
    }
}

int main(int argc, char **argv)
{
    dead_man(20);
    MUST(argc > 1);
    pid_t child = fork();
    if (child == 0) {
        MUST(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
        execv(argv[1], argv + 1);
        _exit(127);
    }
    int status, inside = 0;
    MUST(waitpid(child, &status, 0) == child);
    MUST(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
    for (int signal = 0;;) {
        MUST(ptrace(PTRACE_SYSCALL, child, 0, signal) == 0);
        MUST(waitpid(child, &status, 0) == child);
        if (!WIFSTOPPED(status))
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
        signal = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
        inside ^= signal == 0;
        struct user_regs_struct regs;
        MUST(ptrace(PTRACE_GETREGS, child, 0, &regs) == 0);
        if (signal == 0 && !inside && regs.orig_rax == SYS_uname) {
            put(child, regs.rdi + offsetof(struct utsname, release), "4.4.0");
            put(child, regs.rdi + offsetof(struct utsname, version), "#1 SMP Sun Jan 10 15:06:54 PST 2016");
        }
    }
}
