// Says that it is ready, and sleeps until a signal ends it.
// compared: elsewhere
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}
