// Each of two threads registers its alternate stack by a system call of its own. libc learns that
// the stack exists only when the thread installs a handler with SA_ONSTACK. The argument names the
// function that installs it, by default sigaction. It is looked up by name, because headers do not
// declare all of them.
// build: -ldl
#include "common.h"
#include <dlfcn.h>

static int (*install)(int, const struct sigaction *, struct sigaction *) = sigaction;

static volatile sig_atomic_t seen;

static void handler(int signal) { seen += signal == SIGUSR1; }

static void *take_signal(void *unused)
{
    (void)unused;
    MUST(raw_set_altstack(fresh_pages(STACK_SIZE), STACK_SIZE) == 0);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    MUST(install(SIGUSR1, &action, NULL) == 0);
    MUST(raise(SIGUSR1) == 0);
    return NULL;
}

int main(int argc, char **argv)
{
    dead_man(20);
    if (argc > 1 && !(install = (__typeof__(install))dlsym(RTLD_DEFAULT, argv[1])))
        return 77;
    take_signal(NULL);
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, take_signal, NULL) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    printf("signals: %d\n", (int)seen);
    return seen != 2;
}
