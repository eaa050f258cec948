// A library that defines names that a libc may lack. The results show which definition was called.
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#ifndef RESULT
#define RESULT 41
#endif

int thrd_create(void *thread, void *function, void *argument)
{
    (void)thread, (void)function, (void)argument;
    return RESULT;
}

ssize_t process_madvise(int fd, void *ranges, size_t count, int advice, unsigned flags)
{
    (void)fd, (void)ranges, (void)count, (void)advice, (void)flags;
    return RESULT;
}

void call_own(void)
{
    errno = 0;
    ssize_t result = process_madvise(-1, NULL, 0, 0, 0);
    printf("library: thrd_create %d process_madvise %zd %s\n", thrd_create(NULL, NULL, NULL), result,
           strerror(errno));
}
