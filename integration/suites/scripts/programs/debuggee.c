#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int signals, threads;

static void handler(int signal)
{
    (void)signal;
    signals++;
}

void *in_thread(void *unused)
{
    __sync_fetch_and_add(&threads, 1);
    return unused;
}

static void in_child(void)
{
    _exit(7);
}

int main(int argc, char **argv)
{
    (void)argv;
    stack_t stack = { .ss_size = 65536 };
    stack.ss_sp = mmap(0, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&stack, 0);
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
    sigaction(SIGUSR1, &action, 0);
    if (argc > 1)
        for (;;)
            pause();
    raise(SIGUSR1);
    pthread_t all[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&all[i], 0, in_thread, 0);
    for (int i = 0; i < 4; i++)
        pthread_join(all[i], 0);
    int status = 0;
    pid_t child = fork();
    if (!child)
        in_child();
    waitpid(child, &status, 0);
    printf("ended: %d signal, %s threads, child %d\n", signals, threads >= 4 ? "4" : "too few",
           WEXITSTATUS(status));
    return 0;
}
