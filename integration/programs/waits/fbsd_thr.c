/* fbsd_wait with threads: libthr's functions come before libc's. */
// compared: elsewhere
// links: libfthr libfbsd
#define main fbsd_main
#include "fbsd_wait.c"
#undef main

extern int fthr_calls;

int main(int argc, char **argv)
{
    int result = fbsd_main(argc, argv);
    printf("through libthr %d\n", fthr_calls);
    return result;
}
