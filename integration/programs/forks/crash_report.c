// A crash report that is made in a copy of the process: the crashed thread says where its siginfo
// and context are (on its alternate stack) and waits; another thread forks, and the child reads
// them.
// compared: elsewhere
#include <ucontext.h>
#include "common.h"

#ifdef __i386__
#define REG_RIP REG_EIP
#endif

static siginfo_t *_Atomic info;
static ucontext_t *context;
static _Atomic int reported;

static void report_and_wait(int signal, siginfo_t *its, void *registers)
{
    (void)signal;
    context = registers;
    info = its;
    while (!reported)
        usleep(1000);
    pthread_exit(NULL);
}

static void *crash(void *unused)
{
    MUST(set_altstack(plain_pages(STACK_SIZE), STACK_SIZE) == 0);
    *(volatile int *)0x1234 = 1;
    return unused;
}

int main(void)
{
    pthread_t thread;
    struct sigaction action = {.sa_sigaction = report_and_wait, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    dead_man(30);
    MUST(sigaction(SIGSEGV, &action, NULL) == 0);
    MUST(pthread_create(&thread, NULL, crash, NULL) == 0);
    while (!info)
        usleep(1000);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        printf("signal %d at %p, registers %s\n", info->si_signo, info->si_addr,
               context->uc_mcontext.gregs[REG_RIP] ? "set" : "not set");
        fflush(stdout);
        _exit(0);
    }
    MUST(waitpid(child, NULL, 0) == child);
    reported = 1;
    MUST(pthread_join(thread, NULL) == 0);
    return 0;
}
