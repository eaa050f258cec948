// A C library with very few functions. It stands for an old one that has no dlsym (before glibc
// 2.34, dlsym was in libdl). Its dl_iterate_phdr uses what the loader itself exports.
// build: -nostdlib -ffreestanding -fno-stack-protector -l:ld-linux-x86-64.so.2
// build: -Wl,-soname,libc.so.6 -Wl,--version-script=libtiny.map
// output: libc.so.6
// only: glibc
// only: 64-bit
#include <elf.h>
#include <link.h>
#include <signal.h>
#include <stddef.h>

static long call(long number, long a, long b, long c, long d)
{
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}

int sigaltstack(const stack_t *new, stack_t *old) { return call(131, (long)new, (long)old, 0, 0) ? -1 : 0; }

__asm__("restore: mov $15, %eax; syscall");
extern void restore(void) __attribute__((visibility("hidden")));

struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

int sigaction(int signal, const struct sigaction *new, struct sigaction *old)
{
    struct kernel_action action = {0}, before = {0};
    if (new) {
        action.handler = new->sa_handler;
        action.flags = (unsigned)new->sa_flags | 0x04000000UL;
        action.restorer = restore;
        action.mask = new->sa_mask.__val[0];
    }
    if (call(13, signal, new ? (long)&action : 0, (long)&before, 8))
        return -1;
    if (old) {
        old->sa_handler = before.handler;
        old->sa_flags = (int)before.flags;
        old->sa_mask.__val[0] = before.mask;
    }
    return 0;
}

extern struct r_debug _r_debug;

// Works for all objects whose program headers lie in their first page: all but the program.
int dl_iterate_phdr(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data)
{
    for (struct link_map *map = _r_debug.r_map; map; map = map->l_next) {
        const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)map->l_addr;
        struct dl_phdr_info info = {.dlpi_addr = map->l_addr, .dlpi_name = map->l_name};
        if (header && header->e_ident[0] == 0x7f && header->e_ident[1] == 'E') {
            info.dlpi_phdr = (const void *)((const char *)header + header->e_phoff);
            info.dlpi_phnum = header->e_phnum;
        }
        int stop = callback(&info, sizeof info, data);
        if (stop)
            return stop;
    }
    return 0;
}

#ifndef NO_ERRNO
int *__errno_location(void)
{
    static int number;
    return &number;
}
#endif

// glibc's loader itself requires these in libc.so.6.
void __libc_early_init(_Bool initial) { (void)initial; }
int pthread_mutex_lock(void *mutex) { (void)mutex; return 0; }
int pthread_mutex_unlock(void *mutex) { (void)mutex; return 0; }

static char heap[1 << 16] __attribute__((aligned(16)));
static size_t used;

void *malloc(size_t size)
{
    size_t start = used + 16;
    used = (start + size + 15) & ~(size_t)15;
    if (size > sizeof heap || used > sizeof heap)
        return NULL;
    *(size_t *)(heap + start - 16) = size;
    return heap + start;
}

// The heap is new and never reused, so it is zero.
void *calloc(size_t count, size_t size) { return malloc(count * size); }

void *realloc(void *old, size_t size)
{
    char *new = malloc(size);
    size_t keep = old ? *(size_t *)((char *)old - 16) : 0;
    for (size_t i = 0; new && i < keep && i < size; i++)
        new[i] = ((char *)old)[i];
    return new;
}

void free(void *block) { (void)block; }

long tiny_call(long number, long a, long b, long c) { return call(number, a, b, c, 0); }
