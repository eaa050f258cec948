#!/usr/bin/env bash
# arm64.sh boots real kernels for arm64 in QEMU and proves what a real kernel alone can show: an alternate
# stack of 8 KiB dies of a frame with long vectors, and lives with the library. Needs qemu-system-arm.
# With a file, boots that kernel. KERNELS="SUITE/FLAVOUR ..." chooses Debian's: see debian-kernel.sh.
set -eu
cd "$(dirname "$0")/../.."
command -v qemu-system-aarch64 >/dev/null || { echo "arm64.sh: apt-get install qemu-system-arm" >&2; exit 2; }
times=20
compiler=$(packaging/cross/compiler aarch64)
library=$(packaging/cross/build aarch64 | tail -n 1)
sysroot=${compiler%/bin/*}/aarch64-linux-gnu

root=$(mktemp -d)
trap 'rm -rf "$root" "$root.cpio"' EXIT
mkdir "$root"/{bin,lib,proc,dev,run,tmp}
cp "$(integration/vm/debian-kernel.sh arm64 busybox)" "$root/bin/busybox"
cp "$library" "$root/libsigward.so"
cp "$(packaging/cross/command aarch64 | tail -n 1)" "$root/sigward"
cp -L "$sysroot"/lib/{ld-linux-aarch64.so.1,libc.so.6} "$root/lib/"
"$compiler" -std=gnu99 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -march=armv8-a+sve -o "$root/sve" integration/programs/stacks/long_vectors.c
"$compiler" -std=gnu99 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -o "$root/faults" integration/vm/faults.c
cat >"$root/init" <<END
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
echo "@ \$(cat /proc/version)"
echo "@ page \$(grep -m 1 KernelPageSize /proc/self/smaps)"
# WHAT, VARIABLES, ARGUMENTS: how often /sve lived, and how often a signal killed it.
count() {
    lived=0 died=0 other=0
    for round in \$(seq $times); do
        env \$2 /sve \$3 >/dev/null 2>&1
        case \$? in 0) lived=\$((lived + 1)) ;; 139) died=\$((died + 1)) ;; *) other=\$((other + 1)) ;; esac
    done
    echo "@ \$1: lived \$lived, killed by SIGSEGV \$died, other \$other"
}
with=LD_PRELOAD=/libsigward.so
echo "@ \$(LD_SHOW_AUXV=1 /sve 0 | grep MINSIGSTKSZ)"
for words in check doctor "run -- /faults" "run --set SIGWARD=on -- /faults"; do
    /sigward \$words 2>&1 | sed "s|^|@ \$words: |"
done
echo "@ faults plain: \$(/faults)"
echo "@ faults on: \$(env \$with SIGWARD=on /faults)"
for order in first later; do
    count "8192 plain \$order" A=B "8192 \$order"
    count "8192 auto \$order" "\$with SIGWARD_SIZE=auto" "8192 \$order"
    count "8192 fix \$order" "\$with SIGWARD_SIZE=fix" "8192 \$order"
    count "8192 on \$order" "\$with SIGWARD=on" "8192 \$order"
done
count "12288 plain first" A=B "12288 first"
reboot -f
END
chmod 755 "$root/init"
(cd "$root" && find . | busybox cpio -o --quiet -H newc) >"$root.cpio"

boot() { # KERNEL
    timeout 1200 qemu-system-aarch64 -M virt -cpu max -smp 2 -m 512 -nodefaults -display none -serial stdio \
        -no-reboot -kernel "$1" -initrd "$root.cpio" -append "console=ttyAMA0 quiet panic=-1" </dev/null |
        tr -d '\r' | sed -n 's/^@ //p' | tee "$root/words"
}

check() { # a line that must have been printed
    grep -qxE "$1" "$root/words" || { echo "arm64.sh: not so: $1" >&2; exit 1; }
}

prove() { # KERNEL
    boot "$1"
    dies="lived 0, killed by SIGSEGV $times, other 0"
    lives="lived $times, killed by SIGSEGV 0, other 0"
    check "faults plain: fresh [1-9][0-9]* child [1-9][0-9]* parent [0-9]+"
    check "faults on: fresh 0 child 0 parent 0"
    check "run --set SIGWARD=on -- /faults: fresh 0 child 0 parent 0"
    for order in first later; do
        check "8192 plain $order: $dies"
        for mode in auto fix on; do
            check "8192 $mode $order: $lives"
        done
    done
    check "12288 plain first: $lives"
    check "check: .*(not )?affected.*"
}

if [ $# -gt 0 ]; then
    prove "$1"
else
    for name in ${KERNELS:-bookworm/cloud-arm64 trixie/cloud-arm64 trixie/arm64-16k}; do
        prove "$(integration/vm/debian-kernel.sh arm64 "${name%/*}" "${name#*/}")"
    done
fi
