// Threads with small stacks: what their attributes say, and how much stack they have.
// compared: elsewhere
#include "common.h"
#include <limits.h>

static size_t mine;
static char *given;

static void *measure(void *argument)
{
    pthread_attr_t attr;
    void *base;
    MUST(pthread_getattr_np(pthread_self(), &attr) == 0);
    MUST(pthread_attr_getstack(&attr, &base, &mine) == 0);
    pthread_attr_destroy(&attr);
    char here;
    *(int *)argument = given && &here >= given && &here < given + 16 * PAGE;
    return NULL;
}

static void run(const char *what, pthread_attr_t *attr)
{
    pthread_t thread;
    int on_given;
    size_t before = 0, after = 0;
    if (attr)
        MUST(pthread_attr_getstacksize(attr, &before) == 0);
    MUST(pthread_create(&thread, attr, measure, &on_given) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    if (attr)
        MUST(pthread_attr_getstacksize(attr, &after) == 0);
    printf("%s: the attributes are the same %d, on the given stack %d, at least 300 KiB %d\n", what,
           before == after, on_given, mine >= 300 * 1024);
}

int main(void)
{
    pthread_attr_t attr;
    MUST(pthread_attr_init(&attr) == 0);
    MUST(pthread_attr_setstacksize(&attr, 64 * 1024) == 0);
    run("64 KiB", &attr);
    MUST(pthread_attr_setstacksize(&attr, 1 << 20) == 0);
    run("1 MiB", &attr);
    given = fresh_pages(16 * PAGE);
    MUST(pthread_attr_setstack(&attr, given, 16 * PAGE) == 0);
    run("a stack of its own", &attr);
    MUST(pthread_attr_destroy(&attr) == 0);
    return 0;
}
