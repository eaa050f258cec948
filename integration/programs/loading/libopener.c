// A library whose constructor loads the library that OPENS names. It may run before all other
// constructors.
#include <dlfcn.h>
#include <stdlib.h>

void *opened;

__attribute__((constructor)) static void constructor(void)
{
    opened = dlopen(getenv("OPENS"), RTLD_NOW);
}
