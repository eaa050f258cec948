// A program that dies of SIGSEGV, in several ways, on the main thread or another one. It sets no
// alternate stack, except the main thread if that is asked for. It has the default action for SIGSEGV,
// as it reads back. With "overflow", further words say which signals have handlers, and which are
// blocked meanwhile.
// compared: elsewhere
#include "common.h"

static const char *how, *signals = "";
static volatile int never;

__attribute__((noinline)) static int deeper(volatile char *above)
{
    volatile char here[512];
    here[0] = above[0] + 1;
    if (never)
        return 0;
    return deeper(here) + here[0];
}

static void handler(int signal)
{
    (void)signal;
    volatile char top[8] = {0};
    if (strstr(signals, "unblocks")) {
        sigset_t own;
        sigemptyset(&own), sigaddset(&own, signal);
        MUST(pthread_sigmask(SIG_UNBLOCK, &own, NULL) == 0);
    }
    if (!strcmp(signals, "nested") && signal == SIGUSR1)
        raise(SIGUSR2);
    if (!strcmp(how, "overflow"))
        deeper(top);
    *(volatile char *)16 = 1;
}

static void *die(void *argument)
{
    if (!strcmp(how, "raise"))
        raise(SIGSEGV);
    else if (!strcmp(how, "kill"))
        kill(getpid(), SIGSEGV);
    else if (!strcmp(how, "plain"))
        *(volatile char *)16 = 1;
    else
        pthread_kill(pthread_self(), SIGUSR1);
    pause();
    return argument;
}

int main(int argc, char **argv)
{
    dead_man(30);
    MUST(argc >= 3);
    if (argc > 3)
        signals = argv[3];
    how = argv[2];
    struct rlimit no_core = {0, 0};
    MUST(setrlimit(RLIMIT_CORE, &no_core) == 0);
    struct sigaction old, again;
    memset(&old, 0x5a, sizeof old), memset(&again, 0x5a, sizeof again);
    MUST(sigaction(SIGSEGV, NULL, &old) == 0);
    printf("handler %d flags %x mask %d\n", old.sa_handler != SIG_DFL, old.sa_flags,
           sigismember(&old.sa_mask, SIGUSR1));
    if (!strcmp(how, "restored")) {
        // As crash reporters do that are switched off again.
        MUST(signal(SIGSEGV, SIG_IGN) == SIG_DFL);
        MUST(sigaction(SIGSEGV, &old, &again) == 0 && again.sa_handler == SIG_IGN);
    }
    fflush(stdout);
    on_signal(SIGUSR1, handler, strstr(signals, "nodefer") ? SA_ONSTACK | SA_NODEFER : SA_ONSTACK);
    if (*signals)
        on_signal(SIGUSR2, handler, strcmp(signals, "ordinary") ? SA_ONSTACK : 0);
    if (strstr(signals, "blocked")) {
        sigset_t second;
        sigemptyset(&second), sigaddset(&second, SIGUSR2);
        MUST(pthread_sigmask(SIG_BLOCK, &second, NULL) == 0);
    }
    pthread_t thread;
    if (!strcmp(argv[1], "own"))
        MUST(set_altstack(fresh_pages(4 * PAGE), 4 * PAGE) == 0);
    if (strcmp(argv[1], "thread"))
        die(NULL);
    MUST(pthread_create(&thread, NULL, die, NULL) == 0);
    pthread_join(thread, NULL);
    return 0;
}
