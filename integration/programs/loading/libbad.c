// A library that breaks every rule for ours: it needs other libraries, has strong undefined names,
// exports names that it should not, uses TLS, requires an executable stack, has only one hash
// table, and is large.
// build: -Wl,-z,execstack -Wl,--hash-style=gnu
#include <stdio.h>

__thread int of_this_thread;
char large[200000] = {1};

int exported(void) { return puts("strong") + of_this_thread++; }
