/*
 * Waits as cancellation points.
 *
 * wait_cancel compare   prints what happened for each function and situation
 * wait_cancel race N    cancels N threads at about the time their child ends: the
 *                       child must be reported to the thread or left to others.
 *                       Prints how many were lost.
 */
// compared: elsewhere
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum function { WAIT, WAITPID, WAIT3, WAIT4, WAITID, SYS4, FUNCTIONS };
static const char *const names[] = {"wait", "waitpid", "wait3", "wait4", "waitid", "syscall4"};

struct waiter {
    enum function function;
    pid_t child;
    int type, state, hang;
    volatile pid_t tid;
    volatile int cleaned, unwound, returned, go, sent;
};

static void pause_us(long us)
{
    struct timespec time = {us / 1000000, us % 1000000 * 1000};
    while (nanosleep(&time, &time) && errno == EINTR)
        ;
}

static void clean(void *argument) { ((struct waiter *)argument)->cleaned++; }

struct frame {
    struct waiter *waiter;
    long check;
};

/* Run by the unwinder, from registers that it restored. */
static void unwound(struct frame *frame)
{
    if (frame->check == 0x5157415244)
        frame->waiter->unwound++;
}

static long make(struct waiter *w)
{
    int status, options = w->hang ? 0 : WNOHANG;
    struct rusage usage;
    siginfo_t info;

    switch (w->function) {
    case WAIT: return wait(&status);
    case WAITPID: return waitpid(w->child, &status, options);
    case WAIT3: return wait3(&status, options, &usage);
    case WAIT4: return wait4(w->child, &status, options, &usage);
    case WAITID: return waitid(P_PID, w->child, &info, WEXITED | options) ? -1 : w->child;
    default: return syscall(SYS_wait4, w->child, &status, options, &usage);
    }
}

__attribute__((noinline)) static long framed(struct waiter *w)
{
    __attribute__((cleanup(unwound))) struct frame frame = {w, 0x5157415244};
    long got = make(w);
    __asm__ volatile("" : : "r"(&frame) : "memory");
    return got;
}

static void *run(void *argument)
{
    struct waiter *w = argument;

    pthread_setcanceltype(w->type, 0);
    pthread_setcancelstate(w->state, 0);
    pthread_cleanup_push(clean, w);
    w->tid = (pid_t)syscall(SYS_gettid);
    if (w->go == 0)
        while (w->sent == 0) /* no cancellation point before the wait */
            ;
    w->returned = (int)framed(w) > 0;
    pthread_cleanup_pop(0);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, 0);
    return 0;
}

/* Waits until the thread sleeps in the kernel's wait. */
static void until_asleep(struct waiter *w)
{
    char path[64], text[256];

    for (int i = 0; i < 4000; i++) {
        snprintf(path, sizeof path, "/proc/self/task/%d/wchan", (int)w->tid);
        FILE *file = fopen(path, "r");
        size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
        if (file)
            fclose(file);
        text[length] = 0;
        if (strstr(text, "do_wait") || strstr(text, "poll"))
            return;
        pause_us(500);
    }
}

static int reap(pid_t child)
{
    for (;;) {
        pid_t got = waitpid(child, 0, 0);
        if (got == child)
            return 1;
        if (errno != EINTR)
            return 0;
    }
}

static void situation(const char *name, enum function f, int type, int state, int hang, int pending)
{
    struct waiter w = {.function = f, .type = type, .state = state, .hang = hang, .go = !pending};
    pthread_t thread;
    void *result;

    if (f == WAIT && !hang)
        return;
    w.child = fork();
    if (!w.child) {
        pause();
        _exit(0);
    }
    pthread_create(&thread, 0, run, &w);
    while (!w.tid)
        pause_us(100);
    if (!pending)
        until_asleep(&w);
    pthread_cancel(thread);
    w.sent = 1;
    /* A function that is not a cancellation point here (in musl: wait3, wait4) returns
     * when its child ends.
     */
    long patience = state == PTHREAD_CANCEL_DISABLE || f == SYS4 ? 20 : 1000;
    while (pthread_tryjoin_np(thread, &result)) {
        if (hang && patience-- == 0)
            kill(w.child, SIGKILL);
        pause_us(1000);
    }
    printf("%s %s: %s cleaned %d unwound %d returned %d", name, names[f],
           result == PTHREAD_CANCELED ? "canceled" : "ended", w.cleaned, w.unwound, w.returned);
    kill(w.child, SIGKILL);
    printf(" child %s\n", reap(w.child) ? "left" : "taken");
    fflush(stdout);
}

static void compare(void)
{
    for (enum function f = 0; f < FUNCTIONS; f++) {
        situation("deferred", f, PTHREAD_CANCEL_DEFERRED, PTHREAD_CANCEL_ENABLE, 1, 0);
        if (f != SYS4)
            situation("asynchronous", f, PTHREAD_CANCEL_ASYNCHRONOUS, PTHREAD_CANCEL_ENABLE, 1, 0);
        situation("disabled", f, PTHREAD_CANCEL_DEFERRED, PTHREAD_CANCEL_DISABLE, 1, 0);
        situation("pending", f, PTHREAD_CANCEL_DEFERRED, PTHREAD_CANCEL_ENABLE, 1, 1);
        situation("pending-nohang", f, PTHREAD_CANCEL_DEFERRED, PTHREAD_CANCEL_ENABLE, 0, 1);
    }
}

static long race(long rounds)
{
    long lost = 0, canceled = 0;

    for (long i = 0; i < rounds; i++) {
        struct waiter w = {.function = WAITPID, .hang = 1, .go = 1};
        pthread_t thread;
        void *result;

        w.child = fork();
        if (!w.child) {
            pause_us(300);
            _exit(0);
        }
        pthread_create(&thread, 0, run, &w);
        pause_us(250 + i % 100 * 2);
        pthread_cancel(thread);
        pthread_join(thread, &result);
        canceled += result == PTHREAD_CANCELED;
        if (w.returned ? 0 : !reap(w.child))
            lost++;
    }
    printf("lost %ld\n", lost);
    fprintf(stderr, "canceled %ld of %ld\n", canceled, rounds);
    return lost;
}

int main(int argc, char **argv)
{
    alarm(120);
    if (argc > 2 && !strcmp(argv[1], "race"))
        return race(atol(argv[2])) != 0;
    compare();
    return 0;
}
