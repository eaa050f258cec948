// Which pages of an alternate stack are locked and present: before it is registered, while it is,
// and after it is disabled. The argument selects the kind of stack.
// compared: elsewhere
#include "common.h"

static size_t size = STACK_SIZE;

static void step(const char *name, char *stack)
{
    printf("%s: Locked %ld kB, marked %ld pages, present %ld pages, VmLck %ld kB\n", name,
           smaps_locked_kb(stack, size), locked_pages(stack, size), present_pages(stack, size),
           status_kb("VmLck"));
}

static void *hold_another(void *go)
{
    MUST(set_altstack(fresh_pages(STACK_SIZE), STACK_SIZE) == 0);
    pthread_barrier_wait(go);
    pause();
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: residency KIND [keep]\n");
        return 2;
    }
    const char *kind = argv[1];
    dead_man(60);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(kind, "huge"))
        size = 1UL << 30;
    // A gap for other mappings, which might otherwise land in the hole of a stack below.
    char *gap = fresh_pages(256 * PAGE);
    char *block = fresh_pages(size + PAGE), *stack = block;
    MUST(munmap(gap, 256 * PAGE) == 0);
    if (!strcmp(kind, "unaligned"))
        stack += 24;
    else if (!strcmp(kind, "PROT_NONE"))
        MUST(mprotect(block, size, PROT_NONE) == 0);
    else if (!strcmp(kind, "read-only"))
        MUST(mprotect(block, size, PROT_READ) == 0);
    else if (!strcmp(kind, "guard inside"))
        MUST(mprotect(block, PAGE, PROT_NONE) == 0);
    else if (!strcmp(kind, "guard in the headroom"))
        MUST(mprotect(block + size - 3 * PAGE, PAGE, PROT_NONE) == 0);
    else if (!strcmp(kind, "begins unmapped"))
        MUST(munmap(block, PAGE) == 0);
    else if (!strcmp(kind, "ends unmapped"))
        MUST(munmap(block + size - PAGE, PAGE) == 0);
    else if (!strcmp(kind, "has a hole"))
        MUST(munmap(block + 8 * PAGE, PAGE) == 0);
    else if (!strcmp(kind, "after a bad one"))
        MUST(set_altstack(mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), size) == 0);
    else if (!strcmp(kind, "second")) {
        // Another thread's stack has used up the limit on locks.
        pthread_t other;
        pthread_barrier_t go;
        pthread_barrier_init(&go, NULL, 2);
        MUST(pthread_create(&other, NULL, hold_another, &go) == 0);
        pthread_barrier_wait(&go);
    }
    step("before", stack);
    MUST(set_altstack(stack, size) == 0);
    step("registered", stack);
    if (argc > 2 && !strcmp(argv[2], "keep"))
        return 0;
    MUST(drop_altstack() == 0);
    step("disabled", stack);
    return 0;
}
