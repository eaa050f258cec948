// A file is mapped far from its start, by both names of mmap. Where an offset is wider than a word, the
// names differ in how it is passed.
#include "common.h"
#include <dlfcn.h>

static void *(*map64)(void *, size_t, int, int, int, int64_t);

int main(void)
{
    char name[] = "/tmp/sigward-offsets-XXXXXX";
    int64_t far = (5LL << 30) + 3 * (int64_t)PAGE, near = 7 * (int64_t)PAGE;
    dead_man(30);
    int file = mkostemp(name, O_LARGEFILE);
    MUST(file >= 0 && unlink(name) == 0);
    *(void **)&map64 = dlsym(RTLD_DEFAULT, "mmap64");
    MUST(pwrite(file, "near", 4, near) == 4);
    char *at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, near);
    printf("mmap: %.4s\n", at == MAP_FAILED ? "failed" : at);
#ifdef __GLIBC__
    ssize_t pwrite64(int, const void *, size_t, int64_t);
    MUST(map64 && pwrite64(file, "far", 4, far) == 4);
#else
    map64 = map64 ? map64 : (void *)mmap;
    MUST(pwrite(file, "far", 4, far) == 4);
#endif
    at = map64(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, far);
    printf("mmap64: %.4s\n", at == MAP_FAILED ? "failed" : at);
    at = map64(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, near);
    printf("mmap64: %.4s\n", at == MAP_FAILED ? "failed" : at);
    return 0;
}
