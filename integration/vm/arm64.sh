#!/usr/bin/env bash
# arm64.sh boots real kernels for arm64 in QEMU and proves what a real kernel alone can show: an alternate
# stack of 8 KiB dies of a frame with long vectors, and lives with the library. Needs qemu-system-arm.
# With a file, boots that kernel. KERNELS="SUITE/FLAVOUR ..." chooses Debian's: see debian-kernel.sh.
set -eu
cd "$(dirname "$0")/../.."
command -v qemu-system-aarch64 >/dev/null || { echo "arm64.sh: apt-get install qemu-system-arm" >&2; exit 2; }
debian=arm64 processor=aarch64 times=20
. integration/vm/other-processor.sh

compile vectors integration/programs/stacks/long_vectors.c -march=armv8-a+sve
pack <<'END'
echo "@ page $(grep -m 1 KernelPageSize /proc/self/smaps)"
for order in first later; do
    count "8192 plain $order" A=B "8192 $order"
    count "8192 auto $order" "$with SIGWARD_SIZE=auto" "8192 $order"
    count "8192 fix $order" "$with SIGWARD_SIZE=fix" "8192 $order"
    count "8192 on $order" "$with SIGWARD=on" "8192 $order"
done
count "12288 plain first" A=B "12288 first"
END

prove() { # KERNEL
    boot "$1" ttyAMA0 qemu-system-aarch64 -cpu max
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
