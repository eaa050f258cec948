// Counts the preloaded library's pages that are private to this process: written, and so copied or
// created.
// build: -ldl
// compared: elsewhere
#include "common.h"
#include <link.h>

static uintptr_t from, to;

static int find(struct dl_phdr_info *info, size_t size, void *name)
{
    (void)size;
    if (!strstr(info->dlpi_name, name))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD)
            continue;
        uintptr_t start = info->dlpi_addr + header->p_vaddr, end = start + header->p_memsz;
        from = from && from < start ? from : start;
        to = to > end ? to : end;
    }
    return 1;
}

int main(void)
{
    dead_man(20);
    MUST(dl_iterate_phdr(find, "libsigward.so"));
    int fd = open("/proc/self/pagemap", O_RDONLY);
    MUST(fd >= 0);
    int pages = 0;
    for (uintptr_t page = from / PAGE; page * PAGE < to; page++) {
        uint64_t entry;
        MUST(pread(fd, &entry, 8, page * 8) == 8);
        // Present, mapped only once (unlike the page of zeroes), not of a file.
        pages += (entry >> 63 & 1) && (entry >> 56 & 1) && !(entry >> 61 & 1);
    }
    printf("%d\n", pages);
    return 0;
}
