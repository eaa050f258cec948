// What several programs need: checks that print their name, and the kernel's word on memory.
#ifndef COMMON_H
#define COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define STACK_SIZE (16 * PAGE)

// Ends the program with the failed call's text, so that a broken test is not taken for a result.
#define MUST(call)                                                                              \
    do {                                                                                        \
        if (!(call)) {                                                                          \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, strerror(errno));     \
            exit(99);                                                                           \
        }                                                                                       \
    } while (0)

// Every program that can hang calls this first.
__attribute__((unused)) static void dead_man(unsigned seconds) { alarm(seconds); }

// Fresh pages that nobody has touched. Never merged with a neighbour: PROT_NONE pages surround
// them, so that the figures of smaps are theirs alone.
__attribute__((unused)) static char *fresh_pages(size_t size)
{
    char *all = mmap(NULL, size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(all != MAP_FAILED);
    MUST(mprotect(all + PAGE, size, PROT_READ | PROT_WRITE) == 0);
    return all + PAGE;
}

__attribute__((unused)) static int set_altstack(void *base, size_t size)
{
    stack_t stack = {.ss_sp = base, .ss_size = size};
    return sigaltstack(&stack, NULL);
}

__attribute__((unused)) static int drop_altstack(void)
{
    stack_t stack = {.ss_flags = SS_DISABLE};
    return sigaltstack(&stack, NULL);
}

__attribute__((unused)) static void on_signal(int signal, void (*handler)(int), int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    MUST(sigaction(signal, &action, NULL) == 0);
}

// A field of /proc/thread-self/status in KiB, such as VmLck. It reads with the kernel's own
// calls: stdio would allocate.
__attribute__((unused)) static long status_kb(const char *field)
{
    static char text[8192];
    int fd = open("/proc/thread-self/status", O_RDONLY);
    MUST(fd >= 0);
    ssize_t got = read(fd, text, sizeof text - 1);
    MUST(got > 0);
    close(fd);
    text[got] = 0;
    char name[32];
    snprintf(name, sizeof name, "\n%s:", field);
    char *at = strstr(text, name);
    return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

// Pages of [base, base+size) that lie in locked VMAs, by the "lo" flag of smaps.
__attribute__((unused)) static long locked_pages(const void *base, size_t size)
{
    uintptr_t from = (uintptr_t)base & ~(PAGE - 1);
    uintptr_t to = ((uintptr_t)base + size + PAGE - 1) & ~(PAGE - 1);
    FILE *smaps = fopen("/proc/self/smaps", "r");
    MUST(smaps);
    char line[4096];
    unsigned long start = 0, end = 0;
    long pages = 0;
    while (fgets(line, sizeof line, smaps)) {
        unsigned long a, b;
        char dash;
        if (sscanf(line, "%lx%c%lx ", &a, &dash, &b) == 3 && dash == '-') {
            start = a < from ? from : a;
            end = b > to ? to : b;
        } else if (!strncmp(line, "VmFlags:", 8) && strstr(line, " lo") && start < end) {
            pages += (end - start) / PAGE;
        }
    }
    fclose(smaps);
    return pages;
}

// Pages of [base, base+size) that are in memory, by mincore.
__attribute__((unused)) static long resident_pages(void *base, size_t size)
{
    char *from = (char *)((uintptr_t)base & ~(PAGE - 1));
    size_t length = (((uintptr_t)base + size + PAGE - 1) & ~(PAGE - 1)) - (uintptr_t)from;
    unsigned char *map = malloc(length / PAGE);
    long pages = 0;
    MUST(map && mincore(from, length, map) == 0);
    for (size_t i = 0; i < length / PAGE; i++)
        pages += map[i] & 1;
    free(map);
    return pages;
}

#endif
