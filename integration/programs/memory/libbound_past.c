// A library that discards memory.
#include <errno.h>
#include <sys/mman.h>

int discard(void *start, size_t size)
{
    return madvise(start, size, MADV_DONTNEED) ? errno : 0;
}
