// Prints each signal that it receives, with the value that came with it, until SIGRTMAX comes with
// the value 999.
// compared: elsewhere
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
    // All, past libc, which leaves out its own.
    unsigned long all = ~0ul;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, sizeof all);
    setvbuf(stdout, 0, _IOLBF, 0);
    puts("ready");
    for (;;) {
        siginfo_t info;
        long number = syscall(SYS_rt_sigtimedwait, &all, &info, 0, sizeof all);
        int value = info.si_code == SI_QUEUE ? info.si_value.sival_int : -1;
        printf("%ld %d\n", number, value);
        if (number == 64 && value == 999)
            return 3;
    }
}
