// An alternate stack to whose pages things happen that no library sees: system calls by the
// instruction. Prints the stack's address, does what each letter on standard input asks for and
// prints it again, and ends with the input.
// compared: elsewhere
#include "common.h"
#include <sys/prctl.h>

static void handler(int signal) { (void)signal; }

static int ready;

static void *idle(void *unused)
{
    (void)unused;
    __atomic_store_n(&ready, 1, __ATOMIC_SEQ_CST);
    for (;;)
        pause();
    return NULL;
}

int main(void)
{
    dead_man(120);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    char *stack = fresh_pages(STACK_SIZE);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    pid_t child = 0;
    char letter = 'r';
    do {
        switch (letter) {
        case 'l': // lock no longer
            MUST(raw_call(SYS_munlock, (long)(stack + PAGE), PAGE, 0, 0) == 0);
            break;
        case 'd': // drop a page
            MUST(raw_call(SYS_munlock, (long)(stack + PAGE), PAGE, 0, 0) == 0);
            MUST(raw_call(SYS_madvise, (long)(stack + PAGE), PAGE, MADV_DONTNEED, 0) == 0);
            break;
        case 'c': // a copy of the process
            child = raw_call(SYS_clone, SIGCHLD, 0, 0, 0);
            MUST(child >= 0);
            if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                idle(NULL);
            }
            break;
        case 't': { // a thread without an alternate stack
            pthread_t thread;
            MUST(pthread_create(&thread, NULL, idle, NULL) == 0);
            while (!__atomic_load_n(&ready, __ATOMIC_SEQ_CST)) // libc blocks signals until then
                usleep(1000);
            break;
        }
        default:
            break;
        }
        printf("%c %lu %d\n", letter, (unsigned long)stack, child);
        fflush(stdout);
    } while (read(0, &letter, 1) == 1);
    if (child)
        kill(child, SIGKILL);
    return 0;
}
