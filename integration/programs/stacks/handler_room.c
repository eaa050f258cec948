/* A handler that uses most of its alternate stack, as the program sees it. On the stack that the
 * program sets, the frame or the handler does not fit, and memory below it is not writable: the
 * program dies there. */
// compared: elsewhere
#include "common.h"

#include <alloca.h>

/* What the handler uses, and the stack. */
static size_t use, size = 16 * 1024, guard;
static char *stack;
static int nests, by_number, gets_through, wrong, keeps_errno = 1;
static __thread int inner_ran;

static void inner(int signal)
{
    (void)signal;
    inner_ran = 1;
}

static void fill(size_t bytes)
{
    volatile char *room = alloca(bytes);
    for (size_t i = 0; i < bytes; i += 64)
        room[bytes - 1 - i] = 1;
    if (nests)
        raise(SIGUSR2);
}

static void handler(int signal)
{
    (void)signal;
    stack_t now;
    MUST(sigaltstack(NULL, &now) == 0);
    wrong |= now.ss_size != size || now.ss_flags != SS_ONSTACK;
    fill(use);
}

static int set(const stack_t *new, stack_t *old)
{
    return by_number ? syscall(SYS_sigaltstack, new, old) : sigaltstack(new, old);
}

static void *deliver(void *own)
{
    char *base = own ? own : stack;
    stack_t new = {.ss_sp = base, .ss_size = size}, old;
    errno = EDOM;
    if (set(&new, &old) != 0) {
        printf("refused: %s\n", strerror(errno));
        return NULL;
    }
    keeps_errno &= errno == EDOM;
    wrong |= !(old.ss_flags & SS_DISABLE);
    raise(SIGUSR1);
    wrong |= nests && !inner_ran;
    new.ss_flags = SS_DISABLE;
    errno = EDOM;
    MUST(set(&new, &old) == 0);
    keeps_errno &= errno == EDOM;
    wrong |= old.ss_sp != base || old.ss_size != size;
    __atomic_add_fetch(&gets_through, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* Pages of `bytes`, the lowest of which are a guard, and one guard below them. */
static char *guarded(size_t bytes)
{
    char *pages = fresh_pages(bytes);
    if (guard)
        MUST(mprotect(pages, guard, PROT_NONE) == 0);
    return pages;
}

int main(int argc, char **argv)
{
    MUST(argc == 6);
    size = strtoul(argv[1], NULL, 10);
    guard = strtoul(argv[2], NULL, 10);
    use = strtoul(argv[3], NULL, 10);
    nests = strcmp(argv[4], "nested") == 0;
    by_number = strcmp(argv[4], "number") == 0;
    int in_thread = strcmp(argv[5], "thread") == 0;
    size_t bytes = (size + PAGE - 1) / PAGE * PAGE;
    /* At the low end, so that what lies below is not writable. */
    stack = guarded(bytes);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    on_signal(SIGUSR2, inner, SA_ONSTACK);
    if (in_thread) {
        pthread_t thread;
        MUST(pthread_create(&thread, NULL, deliver, guarded(bytes)) == 0);
        MUST(pthread_join(thread, NULL) == 0);
    } else {
        deliver(NULL);
    }
    printf("through %d, wrong %d\n", gets_through, wrong);
    if (strcmp(argv[4], "errno") == 0)
        printf("errno as before %d\n", keeps_errno);
    return 0;
}
