// A library whose constructor loads the one that OPENS names: it may run before anyone else's.
#include <dlfcn.h>
#include <stdlib.h>

void *opened;

__attribute__((constructor)) static void constructor(void)
{
    opened = dlopen(getenv("OPENS"), RTLD_NOW);
}
