/*
 * Carries out orders from stdin, which concern its children or make it wait, and writes
 * the results to stdout. One order per line, one answer per line.
 *
 *   fork CODE                    -> the child's number, from 0
 *   end|kill|stop|cont CHILD     -> ok, when it has happened
 *   wait FUNCTION WHO OPTIONS LATER...
 *        WHO: a child's number, any or group; OPTIONS: of wait4, a number
 *        LATER: events that happen, one after another, when the wait
 *        sleeps: end:CHILD ..., signal (no SA_RESTART), restart
 *                                -> CHILD STATUS | none | ERROR
 */
// compared: elsewhere
#include "common.h"

#define CHILDREN 64

static struct {
    pid_t pid;
    int pipe;
} children[CHILDREN];
static int count;
static pid_t main_tid;
static char later[256];
static volatile int handled;

static void on_event(int signal)
{
    (void)signal;
    handled++;
}

/* Looks without consuming, by a call that nothing hooks. */
static void until(pid_t pid, long events)
{
    siginfo_t info;
    long result;
    do {
        register long options __asm__("r10") = events | WNOWAIT;
        register long usage __asm__("r8") = 0;
        /* A defective kernel loses three registers, which the caller must know. */
        __asm__ volatile("syscall"
                         : "=a"(result), "+r"(options), "+r"(usage)
                         : "a"(SYS_waitid), "D"((long)P_PID), "S"((long)pid), "d"(&info)
                         : "rcx", "r9", "r11", "memory");
    } while (result < 0 && result != -ECHILD);
}

/* Waits until it has happened, unless the main thread is about to consume it. */
static void event(const char *what, int child, int consumed)
{
    pid_t pid = children[child].pid;

    if (!strcmp(what, "end"))
        MUST(write(children[child].pipe, "!", 1) == 1);
    else if (!strcmp(what, "kill"))
        kill(pid, SIGKILL);
    else if (!strcmp(what, "stop"))
        kill(pid, SIGSTOP);
    else
        kill(pid, SIGCONT);
    if (consumed)
        return;
    until(pid, !strcmp(what, "stop") ? WSTOPPED : !strcmp(what, "cont") ? WCONTINUED : WEXITED);
}

static int asleep(void)
{
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/wchan", (int)main_tid);
    int fd = open(path, O_RDONLY);
    ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = 0;
    return strstr(text, "do_wait") || strstr(text, "poll");
}

static void *helper(void *argument)
{
    char *rest = NULL;

    for (char *word = strtok_r(later, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        while (!asleep())
            usleep(200);
        char *child = strchr(word, ':');
        int before = handled;
        if (child) {
            *child = 0;
            event(word, atoi(child + 1), 1);
        } else {
            syscall(SYS_tgkill, getpid(), main_tid, !strcmp(word, "signal") ? SIGUSR2 : SIGURG);
            while (handled == before)
                usleep(200);
        }
    }
    return argument;
}

static void answer(pid_t pid, int status)
{
    for (int i = 0; pid > 0 && i < count; i++)
        if (children[i].pid == pid) {
            if (WIFEXITED(status))
                printf("%d exited %d\n", i, WEXITSTATUS(status));
            else if (WIFSIGNALED(status))
                printf("%d killed %d\n", i, WTERMSIG(status));
            else if (WIFSTOPPED(status))
                printf("%d stopped\n", i);
            else
                printf("%d continued\n", i);
            return;
        }
    if (pid == 0)
        printf("none\n");
    else
        printf("%s\n", errno == EINTR ? "EINTR" : errno == ECHILD ? "ECHILD" : strerror(errno));
}

static void order_wait(const char *function, const char *who, int options)
{
    int status = 0;
    pid_t pid = !strcmp(who, "any") ? -1 : !strcmp(who, "group") ? 0 : children[atoi(who)].pid, got;
    struct rusage usage;
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, helper, NULL) == 0);
    if (!strcmp(function, "waitid")) {
        siginfo_t info;
        memset(&info, 0, sizeof info);
        got = waitid(pid == -1 ? P_ALL : pid ? P_PID : P_PGID, pid == -1 ? 0 : pid ? (id_t)pid : (id_t)getpgrp(), &info, options | WEXITED);
        if (!got) {
            got = info.si_pid;
            status = info.si_code == CLD_EXITED      ? info.si_status << 8
                     : info.si_code == CLD_CONTINUED ? 0xffff
                     : info.si_code == CLD_STOPPED   ? info.si_status << 8 | 0x7f
                                                     : info.si_status;
        }
    } else if (!strcmp(function, "wait4"))
        got = wait4(pid, &status, options, &usage);
    else
        got = waitpid(pid, &status, options);
    int error = errno;
    pthread_join(thread, NULL);
    errno = error;
    answer(got, status);
}

int main(void)
{
    char line[512], word[32], function[32], who[32];
    int number, options, read_to;

    dead_man(30);
    setpgid(0, 0);
    main_tid = (pid_t)syscall(SYS_gettid);
    on_signal(SIGUSR2, on_event, 0);
    on_signal(SIGURG, on_event, SA_RESTART);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "wait %31s %31s %d%n", function, who, &options, &read_to) == 3) {
            strcpy(later, line + read_to);
            order_wait(function, who, options);
        } else if (sscanf(line, "fork %d", &number) == 1) {
            int ends[2];
            MUST(pipe(ends) == 0 && count < CHILDREN);
            pid_t child = fork();
            if (!child) {
                close(ends[1]);
                for (int i = 0; i < count; i++)
                    close(children[i].pipe);
                char byte;
                while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
                    ;
                _exit(number);
            }
            MUST(child > 0);
            close(ends[0]);
            children[count].pid = child;
            children[count].pipe = ends[1];
            printf("%d\n", count++);
        } else if (sscanf(line, "%31s %d", word, &number) == 2) {
            event(word, number, 0);
            printf("ok\n");
        } else
            printf("what? %s\n", line);
        fflush(stdout);
    }
    return 0;
}
