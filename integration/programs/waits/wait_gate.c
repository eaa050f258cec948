/*
 * Handlers in the middle of a wait, as they behave with a wait strategy. Without one
 * some of this is a race, and some is worse.
 *
 * wait_gate PART   PART: one of those listed in main
 */
// compared: elsewhere
#include "common.h"
#include "process_state.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/time.h>

#define TURNS 20

static volatile int handled, type;
static sigjmp_buf out;

static void collect(int signal)
{
    int saved = errno;
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = saved;
}

static void count(int signal)
{
    (void)signal;
    handled++;
}

static pid_t sleeper(void)
{
    pid_t child = fork();
    if (!child)
        for (;;)
            pause();
    return child;
}

/* A child that ends when its parent sleeps. Made by a call that runs no fork handlers. */
static pid_t short_lived(pid_t parent)
{
    pid_t child = (pid_t)syscall(SYS_fork);
    if (!child) {
        until_state(parent, 'S');
        _exit(1);
    }
    return child;
}

/* Two signals that arrive together: one handler interrupts the other's first instruction,
 * and the second handler reaps whatever has ended.
 */
static void together(void)
{
    pid_t self = getpid();
    for (int restart = 0; restart < 2; restart++) {
        int got = 0;
        handled = 0;
        for (int turn = 0; turn < TURNS; turn++) {
            pid_t child = sleeper();
            on_signal(SIGUSR1, count, restart ? SA_RESTART : 0);
            on_signal(SIGCHLD, collect, SA_RESTART);
            if (!fork()) {
                until_state(self, 'S');
                kill(self, SIGSTOP);
                until_state(self, 'T');
                kill(child, SIGKILL);
                until_state(child, 'Z');
                kill(self, SIGUSR1);
                kill(self, SIGCONT);
                _exit(0);
            }
            got += waitpid(child, NULL, 0) == child;
            on_signal(SIGCHLD, SIG_DFL, 0);
            while (wait(NULL) > 0)
                ;
        }
        printf("restart %d: reported %d, handled %d\n", restart, got, handled);
    }
}

static void alarm_soon(void)
{
    struct itimerval timer = {.it_value = {0, 20000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void jump(int signal)
{
    (void)signal;
    siglongjmp(out, 1);
}

/* A handler that jumps out of a wait leaves nothing behind. */
static void jumps(void)
{
    volatile int got = 0, types = 0, jumped = 0;
    for (volatile int turn = 0; turn < TURNS; turn++) {
        volatile pid_t child = sleeper();
        on_signal(SIGALRM, jump, turn % 2 ? SA_RESTART : 0);
        if (sigsetjmp(out, 1) == 0) {
            alarm_soon();
            waitpid(child, NULL, 0);
        } else
            jumped++;
        pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, (int *)&type);
        types += type == PTHREAD_CANCEL_DEFERRED;
        kill(child, SIGKILL);
        MUST(waitpid(child, NULL, 0) == child);
        pid_t other = short_lived(getpid());
        on_signal(SIGCHLD, collect, SA_RESTART);
        got += waitpid(other, NULL, 0) == other;
        on_signal(SIGCHLD, SIG_DFL, 0);
    }
    printf("jumped %d, deferred %d, reported %d\n", jumped, types, got);
}

static void note_type(int signal)
{
    (void)signal;
    int now;
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &now);
    type |= now;
    handled++;
}

/* A handler that runs in a wait is not easier to cancel than elsewhere. */
static void inside(void)
{
    pid_t child = sleeper(), self = getpid();
    if (!fork()) {
        for (int turn = 0; turn < TURNS; turn++) {
            until_state(self, 'S');
            kill(self, SIGUSR1);
            usleep(5000);
        }
        kill(child, SIGKILL);
        _exit(0);
    }
    type = PTHREAD_CANCEL_DEFERRED;
    on_signal(SIGUSR1, note_type, SA_RESTART);
    MUST(waitpid(child, NULL, 0) == child);
    MUST(wait(NULL) > 0);
    printf("handled %d, type %s\n", handled > 0, type == PTHREAD_CANCEL_DEFERRED ? "deferred" : "asynchronous");
}

/* A vfork child: all of this happens in its parent's memory. */
static void vforked(void)
{
    static volatile int got;
    on_signal(SIGCHLD, collect, SA_RESTART);
    for (int turn = 0; turn < TURNS; turn++) {
        pid_t middle = vfork();
        if (!middle) {
            pid_t child = short_lived(getpid());
            got += waitpid(child, NULL, 0) == child;
            _exit(0);
        }
        pid_t other = short_lived(getpid());
        got += waitpid(other, NULL, 0) == other;
    }
    printf("reported %d\n", got);
}

#define SETTERS 2

static volatile int setting;
static const int flags_of[] = {0, SA_RESTART, SA_NODEFER};
static void first(int signal) { (void)signal; }
static void second(int signal) { (void)signal; }
static void third(int signal) { (void)signal; }
static void (*const handler_of[])(int) = {first, second, third};

static void *set_again_and_again(void *seed)
{
    unsigned state = (unsigned)(long)seed;
    while (setting) {
        state = state * 1103515245 + 12345;
        unsigned which = (state >> 16) % 3;
        on_signal(SIGUSR1, handler_of[which], flags_of[which]);
    }
    return NULL;
}

/* Threads that set different handlers for one signal: one of them wins, with its own
 * flags.
 */
static void setters(void)
{
    int wrong = 0;
    // A turn may be over before a thread begins its first.
    on_signal(SIGUSR1, handler_of[0], flags_of[0]);
    for (long turn = 0; turn < 3000; turn++) {
        pthread_t threads[SETTERS];
        setting = 1;
        for (long i = 0; i < SETTERS; i++)
            MUST(!pthread_create(&threads[i], NULL, set_again_and_again, (void *)(turn * SETTERS + i)));
        usleep(500);
        setting = 0;
        for (int i = 0; i < SETTERS; i++)
            MUST(!pthread_join(threads[i], NULL));
        struct sigaction now;
        MUST(!sigaction(SIGUSR1, NULL, &now));
        int right = 0;
        for (int i = 0; i < 3; i++)
            right |= now.sa_handler == handler_of[i] && (now.sa_flags & (SA_RESTART | SA_NODEFER)) == flags_of[i];
        wrong += !right;
        MUST(!raise(SIGUSR1));
    }
    printf("wrong %d\n", wrong);
}

static char *volatile handler_at;

static void note_place(int signal)
{
    (void)signal;
    handler_at = __builtin_frame_address(0);
    handled++;
}

/* A handler on an alternate stack above a guard, with little more room than its frame
 * needs.
 */
static void tight(void)
{
    size_t size = 64 << 10;
    char *map = mmap(NULL, 4096 + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(map != MAP_FAILED && !mprotect(map, 4096, PROT_NONE));
    stack_t stack = {.ss_sp = map + 4096, .ss_size = size};
    MUST(!syscall(SYS_sigaltstack, &stack, NULL));
    on_signal(SIGALRM, note_place, SA_ONSTACK);
    MUST(!raise(SIGALRM));
    stack.ss_size = (size_t)(map + 4096 + size - handler_at) + 640;
    MUST(!syscall(SYS_sigaltstack, &stack, NULL));
    pid_t child = sleeper();
    alarm_soon();
    int got = waitpid(child, NULL, 0);
    printf("got %d, handled %d\n", got, handled);
    kill(child, SIGKILL);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {{"together", together}, {"jumps", jumps}, {"inside", inside}, {"vforked", vforked}, {"setters", setters}, {"tight", tight}};

    dead_man(60);
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
        if (argc > 1 && !strcmp(argv[1], parts[i].name))
            parts[i].run();
    return 0;
}
