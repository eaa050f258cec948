// Forks while a library's fork handlers wait for the library's threads, which are in our hooks: on
// a lock ("lock"), by joining them ("join"), or for their next round ("round").
// links: libpausing
#include "scenario.h"

// How the library pauses its thread; libpausing.c has the same order.
enum rest { BY_LOCK, BY_JOINING, BY_ROUNDS };
void start_worker_of_library(enum rest how) __asm__("start_worker");
void end_worker_of_library(void) __asm__("end_worker");

enum { FORKS = 3 };

static void fork_during(enum rest how)
{
    warm_up(plain_pages(STACK_SIZE), STACK_SIZE);
    start_worker_of_library(how);
    for (int i = 0; i < FORKS; i++) {
        int status;
        pid_t child = fork();
        MUST(child >= 0);
        deliver();
        if (child == 0)
            _exit(0);
        MUST(waitpid(child, &status, 0) == child && status == 0);
    }
    end_worker_of_library();
}

static void by_lock(void) { fork_during(BY_LOCK); }
static void by_join(void) { fork_during(BY_JOINING); }
static void by_round(void) { fork_during(BY_ROUNDS); }

int main(int argc, char **argv)
{
    static const struct scenario all[] = {{"lock", by_lock}, {"join", by_join}, {"round", by_round}, {NULL, NULL}};
    return run_scenario(argc, argv, all);
}
