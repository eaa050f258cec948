/*
 * One wait that finds no child, between two breakpoints: what it costs when
 * there is nothing to do.
 */
// compared: elsewhere
#include "common.h"

int main(void)
{
    dead_man(20);
    /* Once before, for the loader's lazy binding. */
    wait4(-1, NULL, WNOHANG, NULL);
    waitpid(-1, NULL, WNOHANG);
    __asm__ volatile("int3");
    wait4(-1, NULL, WNOHANG, NULL);
    __asm__ volatile("int3");
    waitpid(-1, NULL, WNOHANG);
    __asm__ volatile("int3");
    return 0;
}
