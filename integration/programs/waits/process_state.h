/* What a process is doing, according to the kernel. */
#ifndef PROCESS_STATE_H
#define PROCESS_STATE_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The state letter of `pid` (proc(5)); 0 if there is no such process. */
static char state(pid_t pid)
{
    char path[64], line[256] = "", *end;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (!fgets(line, sizeof line, file))
        line[0] = 0;
    fclose(file);
    end = strrchr(line, ')');
    return end ? end[2] : 0;
}

static void until_state(pid_t pid, char wanted)
{
    while (state(pid) != wanted)
        usleep(200);
}

#endif
