/* Memory that is freed and used for something else while it is still set as the alternate stack. Prints
 * whether a signal then writes to it, and whether the program sees its own stack all the while. How the
 * memory was made is the first argument. */
// compared: elsewhere
#include "common.h"

enum { SIZE = 96 * 1024, MORE = 16 * 1024, LARGE = 512 * 1024, BLOCKS = 8 };

static volatile int ran;
static char fixed[SIZE];

static void handler(int signal)
{
    (void)signal;
    ran++;
}

static const char *set;

// Sets the stack, which is there.
static void first(char *memory)
{
    set = memory;
    MUST(set_altstack(memory, SIZE) == 0);
    MUST(raise(SIGUSR1) == 0);
}

// Uses the memory for something else, and takes a signal.
static void reuse(char *const blocks[], int count, size_t size)
{
    stack_t seen;
    int covered = 0, written = 0;
    for (int block = 0; block < count; block++) {
        memset(blocks[block], 0x5a, size);
        covered |= blocks[block] < set + SIZE && set < blocks[block] + size;
    }
    MUST(raise(SIGUSR1) == 0);
    for (int block = 0; block < count; block++)
        for (size_t i = 0; i < size; i++)
            written |= blocks[block][i] != 0x5a;
    MUST(sigaltstack(NULL, &seen) == 0);
    printf("used again %d, written %d, sees its own %d, handlers %d\n", covered, written,
           seen.ss_sp == set && seen.ss_size == SIZE, ran);
}

static __attribute__((noinline)) void set_local(void)
{
    char local[SIZE];
    first(local);
}

// Its variable covers that of the function that has returned.
static __attribute__((noinline)) void reuse_local(void)
{
    char local[SIZE + 2 * MORE];
    reuse((char *[]){local}, 1, sizeof local);
}

static __attribute__((noinline)) void below(void)
{
    volatile char further[MORE];
    further[0] = 0;
    set_local();
    further[1] = further[0];
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "malloc";
    dead_man(30);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    if (!strcmp(how, "local")) {
        below();
        reuse_local();
        return 0;
    }
    char *memory = fixed;
    if (!strcmp(how, "malloc")) {
        memory = malloc(SIZE);
    } else if (!strcmp(how, "part")) {
        memory = (char *)fresh_pages(SIZE + MORE) + MORE / 2;
    } else if (!strcmp(how, "mapping")) {
        memory = plain_pages(SIZE);
    } else if (!strcmp(how, "large")) {
        // libc unmaps it when it is freed.
        memory = malloc(LARGE);
        MUST(memory);
        MUST(set_altstack(memory, LARGE) == 0);
        free(memory);
        raise(SIGUSR1);
        printf("handlers %d\n", ran);
        return 0;
    }
    MUST(memory);
    first(memory);
    char *blocks[BLOCKS] = {memory};
    if (strcmp(how, "malloc")) {
        reuse(blocks, 1, SIZE);
        return 0;
    }
    free(memory);
    // Some of the next blocks are the same memory.
    for (int i = 0; i < BLOCKS; i++)
        MUST(blocks[i] = malloc(SIZE));
    reuse(blocks, BLOCKS, SIZE);
    return 0;
}
