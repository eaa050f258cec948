/* One thread that sets more stacks, one after the other, than sigward keeps larger ones for; with an
 * argument, many threads that do so together. All stay
 * mapped, as contexts may live on them. Prints for how many the kernel got another place, and whether
 * the program always sees its own. */
// compared: elsewhere
#include "common.h"

#include <semaphore.h>

enum { MANY = 1100, SIZE = 8192, THREADS = 13, EACH = 1000 };

static volatile int ran;
static sem_t done;
static int passed_on;

static void handler(int signal)
{
    (void)signal;
    ran++;
}

static int elsewhere, in_order = 1, wrong;
static char *stacks;

// Sets `many` stacks from `stacks` on.
static void set_all(int many)
{
    for (int i = 0; i < many; i++, stacks += SIZE) {
        stack_t seen, real;
        int before = elsewhere;
        MUST(set_altstack(stacks, SIZE) == 0);
        MUST(raw_call(SYS_sigaltstack, 0, (long)&real, 0, 0) == 0);
        elsewhere += real.ss_sp != stacks;
        // Once the kernel has one of the program's, it has all further ones.
        in_order &= elsewhere == before || !passed_on;
        passed_on |= elsewhere == before;
        if (i % 16 != 0)
            continue;
        MUST(sigaltstack(NULL, &seen) == 0);
        wrong |= seen.ss_sp != stacks || seen.ss_size != SIZE;
    }
}

static void *thread(void *unused)
{
    set_all(EACH);
    MUST(sem_post(&done) == 0);
    pause();
    return unused;
}

int main(int argc, char **argv)
{
    (void)argv;
    dead_man(120);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    if (argc > 1) {
        // Threads that all stay, each with fewer than one may have.
        stacks = fresh_pages((size_t)THREADS * EACH * SIZE);
        MUST(sem_init(&done, 0, 0) == 0);
        for (int i = 0; i < THREADS; i++) {
            pthread_t other;
            MUST(pthread_create(&other, NULL, thread, NULL) == 0);
            MUST(sem_wait(&done) == 0);
        }
        // The child's other threads are gone.
        int before = elsewhere, status;
        stacks -= EACH * SIZE;
        pid_t child = fork();
        if (child == 0) {
            set_all(EACH);
            _exit(elsewhere - before == EACH);
        }
        MUST(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
        printf("the child's: %s\n", WEXITSTATUS(status) ? "elsewhere" : "its own");
    } else {
        stacks = fresh_pages((size_t)MANY * SIZE);
        for (int i = 0; i < MANY; i++) {
            set_all(1);
            raise(SIGUSR1);
        }
    }
    printf("elsewhere %d, the first ones %d, wrong %d, handlers %d\n", elsewhere, in_order, wrong, ran);
    return 0;
}
