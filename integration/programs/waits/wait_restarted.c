/*
 * One wait that a kernel has to restart, by the function named in the argument. A thread sleeps in
 * it while the main thread forks; on a system that stops all threads for a fork, this pulls them to
 * the kernel's boundary. The awaited child ends only afterwards.
 */
// build: -ldl
// compared: elsewhere
#include "common.h"
#include <dlfcn.h>
#include <sys/prctl.h>

static const char *function;
static void *original;
static pid_t child;
static pid_t volatile waiter;

static int is(const char *name) { return !strcmp(function, name); }

static int begins(const char *text) { return !strncmp(function + 2 * (*function == '_'), text, strlen(text)); }

static void *wait_here(void *unused)
{
    int status = -1;
    struct rusage usage;
    siginfo_t info;
    long got;
    (void)unused;
    waiter = syscall(SYS_gettid);
    errno = 0;
    if (begins("waitid")) {
        got = ((int (*)(idtype_t, id_t, siginfo_t *, int))original)(P_PID, child, &info, WEXITED);
        got = got == 0 ? info.si_pid : got;
        status = info.si_status << 8;
    } else if (begins("waitpid")) {
        got = ((pid_t (*)(pid_t, int *, int))original)(child, &status, 0);
    } else if (begins("wait3")) {
        got = ((pid_t (*)(int *, int, struct rusage *))original)(&status, 0, &usage);
    } else if (begins("wait4")) {
        got = ((pid_t (*)(pid_t, int *, int, struct rusage *))original)(child, &status, 0, &usage);
    } else if (is("syscall")) {
        got = syscall(SYS_wait4, child, &status, 0, &usage);
    } else {
        got = ((pid_t (*)(int *))original)(&status);
    }
    printf("%s: %s, errno %d, status %d\n", function, got == child ? "the child" : "another result", errno, status >> 8);
    return NULL;
}

/* Waits until the waiter sleeps, according to the kernel, or has ended. */
static void until_asleep(void)
{
    char path[64], line[256];
    int asleep = 0;
    while (asleep < 3) {
        usleep(2000);
        if (!waiter)
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", waiter);
        int fd = open(path, O_RDONLY);
        if (fd < 0)
            return;
        ssize_t got = read(fd, line, sizeof line - 1);
        close(fd);
        if (got <= 0)
            return;
        line[got] = 0;
        char *state = strrchr(line, ')');
        asleep = state && state[2] == 'S' ? asleep + 1 : 0;
    }
}

static int hold[2];

/* A child that ends with status 5 when the pipe is closed, otherwise only with this process. */
static pid_t start_child(int ends)
{
    char byte;
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(hold[1]);
        while (!ends)
            pause();
        MUST(read(hold[0], &byte, 1) == 0);
        _exit(5);
    }
    return pid;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    dead_man(20);
    MUST(argc > 1);
    function = argv[1];
    original = dlsym(RTLD_DEFAULT, function);
    if (!original)
        return 77;
    MUST(pipe(hold) == 0);
    child = start_child(1);
    MUST(pthread_create(&thread, NULL, wait_here, NULL) == 0);
    until_asleep();
    start_child(0);
    until_asleep();
    close(hold[1]);
    MUST(pthread_join(thread, NULL) == 0);
    return 0;
}
