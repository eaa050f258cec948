// Prints whether the library is in this program and in one that it starts, and what that finds in LD_PRELOAD.
// compared: elsewhere
#include "../common.h"
#include <spawn.h>

extern char **environ;

static int has_library(void)
{
    char line[512];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        found |= strstr(line, "libsigward") != NULL;
    fclose(maps);
    return found;
}

int main(int argc, char **argv)
{
    const char *preload = getenv("LD_PRELOAD");
    printf("%s library=%d LD_PRELOAD=%s\n", argc > 1 ? "child" : "program", has_library(), preload ? preload : "none");
    fflush(stdout);
    if (argc > 1)
        return 0;
    // Each way to start a program takes the environment from another place.
    pid_t child;
    int status;
    char *again[] = {argv[0], "again", NULL};
    posix_spawn(&child, "/proc/self/exe", NULL, NULL, again, environ);
    waitpid(child, &status, 0);
    setenv("ANOTHER", "1", 1);
    if ((child = fork()) == 0)
        execv("/proc/self/exe", again);
    waitpid(child, &status, 0);
    return status;
}
