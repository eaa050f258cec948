# Builds GNU Pth and QEMU's coroutines so that both make contexts by the trick with sigaltstack(2).
# Debian builds them with makecontext(3).
set -eu
programs=$(dirname "$0")/programs
place=$SUITE_CACHE/coroutines
[ -e "$place/done" ] && [ ! "$0" -nt "$place/done" ] && [ ! "$programs/qemu-glue.c" -nt "$place/done" ] && exit
rm -rf "$place"
mkdir -p "$place"
cd "$place"
cp -r "$SUITE_CACHE/source/pth" .
cd pth
# No half a minute; then it must not divide by the seconds that it took.
sed -i 's/^#define DO_SWITCHES .*/#define DO_SWITCHES 200000/; s|/(int)(stat_end-stat_start)||' test_uctx.c
# C as of 2006; its jumps go up the stack, which glibc's checks forbid.
export CFLAGS="-O2 -g -w -std=gnu89 -fcommon -U_FORTIFY_SOURCE"
./configure --disable-shared --with-mctx-mth=sjlj --with-mctx-dsp=ssjlj --with-mctx-stk=sas >log 2>&1
grep -q 'PTH_MCTX_STK_use PTH_MCTX_STK_sas' pth_acdef.h
make >>log 2>&1
cd ..

cp -r "$SUITE_CACHE/source/qemu" .
cd qemu
mkdir host
: >host/config-poison.h
cat >host/config-host.h <<'CODE'
#define CONFIG_POSIX 1
#define CONFIG_LINUX 1
#define CONFIG_IOVEC 1
#define CONFIG_COROUTINE_POOL COROUTINES_ARE_POOLED
#define HOST_LONG_BITS 64
CODE
# Tracing is left out.
rm util/trace.h
grep -rhoE '\btrace_qemu_[a-z_]+' util | sort -u | sed 's/.*/#define &(...) ((void)0)/' >host/trace.h
# With its own size, which is left alone even where every stack is replaced, and with less. Without a
# pool, memory of a coroutine that has ended is unmapped and used again.
qemu() {
    sed -i "s/define COROUTINE_STACK_SIZE .*/define COROUTINE_STACK_SIZE ($2)/" include/qemu/coroutine_int.h
    gcc -w -O2 -g -D_GNU_SOURCE -U_FORTIFY_SOURCE -DCOROUTINES_ARE_POOLED="$3" -Ihost -Iinclude -o "../$1" \
        util/coroutine-sigaltstack.c util/qemu-coroutine.c util/qemu-coroutine-lock.c tests/unit/test-coroutine.c \
        "$programs/qemu-glue.c" $(pkg-config --cflags --libs glib-2.0)
}
qemu qemu-1M '1 << 20' 1
qemu qemu-64K '64 << 10' 1
qemu qemu-16K '16 << 10' 0
touch "$place/done"
