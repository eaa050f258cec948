// wait_cancel with frames that the unwinder of a cancellation must find. musl does not unwind.
// build: -fexceptions
// only: glibc
// compared: elsewhere
#include "wait_cancel.c"
