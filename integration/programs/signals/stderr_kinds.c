// A program whose standard error cannot take a line, or must not get one; the argument says why.
// With "count" it can, whatever kind it is, and the program prints how many lines arrive. Most
// kinds are set up before the library is loaded: the program executes itself again.
// compared: elsewhere
#include "common.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

extern char **environ;
static char *own_name;

static void become_two(int fd)
{
    if (fd != 2) {
        MUST(dup2(fd, 2) == 2);
        close(fd);
    }
}

// Writes until nothing more fits.
static void fill(int fd)
{
    static char bytes[4096];
    int flags = fcntl(fd, F_GETFL);
    MUST(fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
    for (size_t size = sizeof bytes; size > 0; size /= 2)
        while (write(fd, bytes, size) > 0)
            ;
    MUST(fcntl(fd, F_SETFL, flags) == 0);
}

static int temporary_file(void)
{
    char name[] = "/tmp/sigward-words-XXXXXX";
    int fd = mkstemp(name);
    MUST(fd >= 0 && unlink(name) == 0);
    return fd;
}

static int terminal(int *master)
{
    char name[32];
    int number, unlocked = 0;
    *master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    MUST(*master >= 0 && ioctl(*master, TIOCSPTLCK, &unlocked) == 0);
    MUST(ioctl(*master, TIOCGPTN, &number) == 0);
    snprintf(name, sizeof name, "/dev/pts/%d", number);
    int slave = open(name, O_RDWR | O_NOCTTY);
    MUST(slave >= 0);
    return slave;
}

static void again(const char *what)
{
    char *const arguments[] = {own_name, (char *)what, NULL};
    execve(own_name, arguments, environ);
    MUST(!"execve");
}

// Standard error is a terminal that stops background processes that write to it.
static void in_background(void)
{
    int master, status, slave = terminal(&master);
    pid_t session = fork();
    MUST(session >= 0);
    if (session == 0) {
        struct termios how;
        MUST(setsid() > 0 && ioctl(slave, TIOCSCTTY, 0) == 0);
        MUST(tcgetattr(slave, &how) == 0);
        how.c_lflag |= TOSTOP;
        MUST(tcsetattr(slave, TCSANOW, &how) == 0);
        pid_t job = fork();
        MUST(job >= 0);
        if (job == 0) {
            MUST(setpgid(0, 0) == 0);
            become_two(slave);
            again("end");
        }
        MUST(waitpid(job, &status, WUNTRACED) == job);
        if (WIFSTOPPED(status)) {
            kill(job, SIGKILL);
            _exit(98);
        }
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 97);
    }
    MUST(waitpid(session, &status, 0) == session && WIFEXITED(status));
    exit(WEXITSTATUS(status));
}

// A file of the program becomes descriptor 2 while it runs.
static void data_file(void)
{
    int data = temporary_file(), status;
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        MUST(dup2(data, 2) == 2);
        MUST(set_altstack(plain_pages(STACK_SIZE), STACK_SIZE) == 0);
        exit(write(2, "DATA\n", 5) != 5);
    }
    MUST(waitpid(child, &status, 0) == child);
    char text[4096] = "";
    MUST(pread(data, text, sizeof text - 1, 0) >= 0);
    printf("status %d data %s", status, text);
}

// The kernel uses the first 8 bytes of a set.
static void seen(const char *when, sigset_t *mask)
{
    sigset_t pending, now;
    MUST(sigpending(&pending) == 0 && sigprocmask(SIG_SETMASK, NULL, &now) == 0);
    printf("%s: SIGPIPE %d SIGXFSZ %d mask %s\n", when, sigismember(&pending, SIGPIPE),
           sigismember(&pending, SIGXFSZ), memcmp(mask, &now, 8) ? "changed" : "kept");
}

// How many of the library's lines arrive if standard error accepts them.
static void count(const char *kind, int to, int from)
{
    static char text[1 << 16];
    int status, lines = 0;
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        become_two(to);
        again("end");
    }
    MUST(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
    MUST(fcntl(from, F_SETFL, O_NONBLOCK) == 0);
    ssize_t got = read(from, text, sizeof text - 1);
    text[got < 0 ? 0 : got] = 0;
    for (char *at = text; (at = strstr(at, "sigward[")); at++)
        lines++;
    printf("%s %d\n", kind, lines);
}

static void count_all(void)
{
    int ends[2], other;
    MUST(pipe(ends) == 0);
    count("pipe", ends[1], ends[0]);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    count("socket", ends[1], ends[0]);
    ends[1] = terminal(&ends[0]);
    count("terminal", ends[1], ends[0]);
    char name[] = "/tmp/sigward-words-XXXXXX";
    MUST((ends[1] = mkstemp(name)) >= 0 && (ends[0] = open(name, O_RDONLY)) >= 0);
    count("file", ends[1], ends[0]);
    MUST(unlink(name) == 0 && mkfifo(name, 0600) == 0);
    MUST((other = open(name, O_RDWR)) >= 0 && (ends[1] = open(name, O_WRONLY)) >= 0);
    count("named pipe", ends[1], other);
    MUST(unlink(name) == 0 && fflush(stdout) == 0);
}

// Makes the library write a line, if it logs what it does.
static void talk(void)
{
    errno = ENOTTY;
    MUST(set_altstack(plain_pages(STACK_SIZE), STACK_SIZE) == 0 && errno == ENOTTY);
}

// The program's own pending signals stay pending, and none is added.
static void blocked(int own)
{
    sigset_t mask;
    MUST(sigemptyset(&mask) == 0 && sigaddset(&mask, SIGPIPE) == 0 && sigaddset(&mask, SIGXFSZ) == 0);
    MUST(sigprocmask(SIG_BLOCK, &mask, NULL) == 0 && sigprocmask(SIG_SETMASK, NULL, &mask) == 0);
    if (own)
        MUST(raise(SIGXFSZ) == 0 && raise(SIGPIPE) == 0);
    seen("before", &mask);
    talk();
    seen("after", &mask);
    _exit(fflush(stdout) ? 96 : 3);
}

int main(int argc, char **argv)
{
    dead_man(20);
    MUST(argc == 2);
    own_name = argv[0];
    const char *kind = argv[1];
    int ends[2], master;
    if (!strcmp(kind, "end")) {
        talk();
        return 3;
    }
    if (!strcmp(kind, "count")) {
        count_all();
        return 3;
    }
    if (!strcmp(kind, "clear") || !strcmp(kind, "pending"))
        blocked(*kind == 'p');
    if (!strcmp(kind, "data")) {
        data_file();
        return 3;
    }
    if (!strcmp(kind, "background"))
        in_background();
    if (!strcmp(kind, "pipe, no reader") || !strcmp(kind, "pipe, full")) {
        MUST(pipe(ends) == 0);
        if (strchr(kind, 'f'))
            fill(ends[1]);
        else
            close(ends[0]);
        become_two(ends[1]);
    } else if (!strncmp(kind, "socket", 6)) {
        MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        if (strchr(kind, 'f'))
            fill(ends[1]);
        else
            close(ends[0]);
        become_two(ends[1]);
    } else if (!strcmp(kind, "terminal, stopped")) {
        int slave = terminal(&master);
        MUST(tcflow(slave, TCOOFF) == 0);
        become_two(slave);
    } else if (!strncmp(kind, "file", 4)) {
        struct rlimit none = {0, 0};
        become_two(temporary_file());
        MUST(setrlimit(RLIMIT_FSIZE, &none) == 0);
    } else if (!strcmp(kind, "closed")) {
        close(2);
    } else {
        MUST(!"a kind");
    }
    again(strchr(kind, ':') ? strchr(kind, ':') + 1 : "end");
}
