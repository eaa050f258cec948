/*
 * A wait that its tracer single-steps, sending SIGUSR1 between two instructions. It
 * repeats rounds forever and communicates with the tracer through `control`, whose
 * address it prints after its pid.
 *
 * wait_edge [bypass|collect|collect-restart]
 *   bypass: the handler is installed by a raw system call
 *   collect: there is one child, and the handler reaps every child that has
 *            ended; with -restart it has SA_RESTART
 */
// compared: elsewhere
#include "common.h"

#include <sys/prctl.h>

static volatile struct {
    int ready;   /* the round that may begin */
    int go;      /* set by the tracer */
    int steal;   /* set by the tracer: take the first child away */
    int stolen;
    int finish;  /* set by the tracer: end the second child */
    int handled; /* handlers run in this round */
    int result;  /* 1, 2: that child; negative: minus errno */
    pid_t second;
} control;

static volatile pid_t first;
#define second control.second


/* By calls that nothing hooks. */
static long raw_wait4(pid_t pid, long options)
{
    long result;
    register long usage __asm__("r10") = 0;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_wait4), "D"((long)pid), "S"(0L), "d"(options), "r"(usage)
                     : "rcx", "r11", "memory");
    return result;
}

static int collects;

static void on_usr1(int signal)
{
    (void)signal;
    while (collects && raw_wait4(-1, WNOHANG) > 0)
        ;
    control.handled++;
}

static void *thief(void *argument)
{
    for (;;) {
        if (control.steal && !control.stolen) {
            raw_wait4(first, WNOHANG);
            control.stolen = 1;
        }
        /* Read in this order: the next round's child is made after `finish` is reset. */
        pid_t victim = second;
        if (control.finish)
            kill(victim, SIGKILL);
        usleep(200);
    }
    return argument;
}

static void until_zombie(pid_t pid)
{
    siginfo_t info;
    register long options __asm__("r10") = WEXITED | WNOWAIT;
    register long usage __asm__("r8") = 0;
    long result;
    do
        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(SYS_waitid), "D"((long)P_PID), "S"((long)pid), "d"(&info), "r"(options), "r"(usage)
                         : "rcx", "r11", "memory");
    while (result == -EINTR);
}

/* The kernel's struct sigaction. */
static void bypass(void)
{
    struct {
        void (*handler)(int);
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } raw;
    /* Lets libc make one, for its restorer, then removes the gate from it. */
    on_signal(SIGUSR1, on_usr1, 0);
    long result;
    register long size __asm__("r10") = 8;
    __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_rt_sigaction), "D"((long)SIGUSR1), "S"(0L), "d"(&raw), "r"(size) : "rcx", "r11", "memory");
    raw.handler = on_usr1;
    __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_rt_sigaction), "D"((long)SIGUSR1), "S"(&raw), "d"(0L), "r"(size) : "rcx", "r11", "memory");
}

int main(int argc, char **argv)
{
    pthread_t thread;
    sigset_t usr1;

    dead_man(300);
    collects = argc > 1 && !strncmp(argv[1], "collect", 7);
    if (argc > 1 && !collects)
        bypass();
    else
        on_signal(SIGUSR1, on_usr1, argc > 1 && strchr(argv[1], '-') ? SA_RESTART : 0);
    /* The thief thread takes no signals. */
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, 0);
    pthread_create(&thread, 0, thief, 0);
    pthread_sigmask(SIG_UNBLOCK, &usr1, 0);
    printf("%d %p\n", (int)getpid(), (void *)&control);
    fflush(stdout);
    for (int round = 1;; round++) {
        control.finish = 0;
        first = collects ? 0 : fork();
        if (!first && !collects)
            _exit(1);
        if (first)
            until_zombie(first);
        second = fork();
        if (!second) {
            /* The tracer may be killed in the middle of a round. */
            prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
            for (;;)
                pause();
        }
        control.go = control.steal = control.stolen = control.handled = control.result = 0;
        control.ready = round;
        while (!control.go)
            ;
        pid_t got = waitpid(-1, 0, 0);
        control.result = got == first ? 1 : got == second ? 2 : -errno;
        while (!control.finish)
            usleep(200);
        kill(second, SIGKILL);
        while (raw_wait4(-1, 0) > 0)
            ;
    }
}
