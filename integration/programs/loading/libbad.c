// A library that is all that ours must not be: it needs other libraries, has strong undefined
// names, exports what is nobody's business, uses TLS, wants an executable stack, has one hash
// table only, and is large.
// build: -Wl,-z,execstack -Wl,--hash-style=gnu
#include <stdio.h>

__thread int of_this_thread;
char large[200000] = {1};

int exported(void) { return puts("strong") + of_this_thread++; }
