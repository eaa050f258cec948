/* INT 0x80 under the filter of wait_confined: the program is killed. */
// compared: elsewhere
#define main unused_main
#include "wait_confined.c"
#undef main

int main(void)
{
    int result;
    confine();
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20 /* getpid */) : "r8", "r9", "r10", "r11", "memory");
    return result > 0;
}
