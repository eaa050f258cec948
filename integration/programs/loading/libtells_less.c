// Preloaded beside another library: makes the kernel's word for the size of a signal frame (AT_MINSIGSTKSZ) that of
// a frame without vectors on RISC-V, as kernels told it from 6.5 on (16 bytes more, to know it by). The loader calls the function that does it before
// any constructor. An emulator without such a word loses another one, which nobody needs.
// only: riscv64
#include <elf.h>
#include <stddef.h>

enum { SIZE_OF_FRAME = 51, WITHOUT_VECTORS = 1104 };

static void nothing(void) {}

static void (*tell_less(void))(void)
{
    volatile unsigned long here = 0, *word = &here;
    // Up the stack to the kernel's words. Two of them are about the program's headers.
    while (word[0] != AT_PHDR || word[2] != AT_PHENT || word[3] != sizeof(Elf64_Phdr))
        word++;
    // Back to the first: what is before it, a variable's address or a null, is no kind.
    while (word[-2] != AT_NULL && word[-2] < 100)
        word -= 2;
    volatile unsigned long *other = NULL, *size = NULL;
    for (; word[0] != AT_NULL; word += 2) {
        if (word[0] == AT_CLKTCK)
            other = word;
        if (word[0] == SIZE_OF_FRAME)
            size = word;
    }
    size = size ? size : other;
    size[0] = SIZE_OF_FRAME;
    size[1] = WITHOUT_VECTORS;
    return nothing;
}

void tells_less(void) __attribute__((ifunc("tell_less")));
void (*volatile called_at_load)(void) = tells_less;
