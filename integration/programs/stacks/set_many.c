/* Sets the same alternate stack over and over: of 8192 bytes, which are enough for a frame where
 * the program has not asked for AMX. */
#include "common.h"

int main(int argc, char **argv)
{
    static char memory[8192];
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    for (long i = 0; i < count; i++)
        if (set_altstack(memory, sizeof memory) != 0)
            return 1;
    return 0;
}
