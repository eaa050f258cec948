#!/usr/bin/env bash
# compat.sh KERNEL boots KERNEL (a bzImage of Linux 5.2 to 5.4.1, or one in which the defect is re-created,
# with CONFIG_IA32_EMULATION) and runs a 32-bit program that looks for lost registers: with both frames,
# without and with the library. Fails unless registers are lost without it and none is lost with it. A part of
# `make vm`. Needs qemu-system-x86, busybox-static, gcc-multilib.
set -eu
cd "$(dirname "$0")/../.."
[ $# = 1 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
kernel=$1 seconds=12
library=$(packaging/i686/build | tail -n 1)
root=$(mktemp -d)
trap 'rm -rf "$root" "$root.cpio"' EXIT
mkdir "$root"/{bin,lib,lib32,proc,dev,sys}
gcc -m32 -std=gnu99 -O1 -Wall -Wextra -Werror -fno-pie -no-pie -mavx2 -pthread -o "$root/compat" \
    integration/vm/compat.c
cp "$(command -v busybox)" "$root/bin/busybox"
cp -L /lib/ld-linux.so.2 "$root/lib/"
cp -L "$(gcc -m32 -print-file-name=libc.so.6)" "$root/lib32/libc.so.6"
cp "$library" "$root/libsigward.so"
cat >"$root/init" <<END
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mount -t sysfs sys /sys
# Only a genuine kernel says of itself that it is affected.
mode=auto defect=/sys/module/sigward/parameters/fpu_bug
[ ! -e \$defect ] || { echo 2 >\$defect; mode=on; }
echo "@ \$(cat /proc/version)"
run() { echo "@ \$1, \$2: \$(LD_PRELOAD=\$3 SIGWARD=\$mode /compat $seconds \$4)"; }
run without "small frame" "" ""
run without "with ucontext" "" ucontext
run with "small frame" /libsigward.so ""
run with "with ucontext" /libsigward.so ucontext
reboot -f
END
chmod 755 "$root/init"
(cd "$root" && find . | busybox cpio -o --quiet -H newc) >"$root.cpio"
words=$(timeout 1200 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 1024M \
    -smp 2,sockets=2,cores=1,threads=1 -nodefaults -display none -serial stdio -no-reboot \
    -kernel "$kernel" -initrd "$root.cpio" \
    -append "console=ttyS0 quiet panic=-1 reboot=t no_timer_check mitigations=off" </dev/null | tr -d '\r' | grep '^@')
echo "$words"
check() { grep -qE "^@ $1, $2: deliveries [0-9]{4,} lost $3\$" <<<"$words" || { echo "compat.sh: $1, $2: not lost $3" >&2; exit 1; }; }
for frame in "small frame" "with ucontext"; do
    check without "$frame" "[1-9][0-9]*"
    check with "$frame" 0
done
