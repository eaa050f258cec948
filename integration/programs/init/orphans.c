// Leaves 10,000 orphans behind, and waits until they are gone. The exit code says if they are.
// compared: elsewhere
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int zombies(void)
{
    int found = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(proc));) {
        char name[300], state = 0;
        snprintf(name, sizeof name, "/proc/%s/stat", entry->d_name);
        FILE *file = fopen(name, "r");
        if (!file)
            continue;
        if (fscanf(file, "%*d (%*[^)]) %c", &state) == 1)
            found += state == 'Z';
        fclose(file);
    }
    closedir(proc);
    return found;
}

int main(void)
{
    // Its end is seen when the last orphan has ended.
    int all[2];
    if (pipe(all))
        return 2;
    for (int i = 0; i < 10000; i++) {
        pid_t child = fork();
        if (child < 0)
            return 2;
        if (child == 0) {
            if (fork() == 0)
                usleep(i % 7 * 100);
            _exit(0);
        }
        waitpid(child, 0, 0);
    }
    close(all[1]);
    char none;
    if (read(all[0], &none, 1) != 0)
        return 2;
    for (int i = 0; i < 600; i++) {
        if (!zombies())
            return 0;
        usleep(100000);
    }
    return 1;
}
