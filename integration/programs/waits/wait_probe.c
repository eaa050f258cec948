/*
 * One wait that finds no child, between two breakpoints: its cost when there is nothing
 * to do.
 */
// compared: elsewhere
#include "common.h"

int main(void)
{
    dead_man(20);
    /* A first call, for the loader's lazy binding. */
    wait4(-1, NULL, WNOHANG, NULL);
    waitpid(-1, NULL, WNOHANG);
    __asm__ volatile("int3");
    wait4(-1, NULL, WNOHANG, NULL);
    __asm__ volatile("int3");
    waitpid(-1, NULL, WNOHANG);
    __asm__ volatile("int3");
    return 0;
}
