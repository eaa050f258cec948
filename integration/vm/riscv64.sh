#!/usr/bin/env bash
# riscv64.sh boots a real kernel for riscv64 in QEMU, on a processor with vector registers of 128 bytes, and proves what
# a real kernel alone can show: how large its frames are, that an alternate stack of 4 KiB dies of them and lives with the
# library, also where the kernel's word leaves out the vectors (pretended), and page faults while frames are written.
# Needs qemu-system-misc and opensbi. With a file, boots that kernel.
set -eu
cd "$(dirname "$0")/../.."
command -v qemu-system-riscv64 >/dev/null || { echo "riscv64.sh: apt-get install qemu-system-misc opensbi" >&2; exit 2; }
debian=riscv64 processor=riscv64 times=20
. integration/vm/other-processor.sh
kernel=${1:-$(integration/vm/debian-kernel.sh riscv64 trixie riscv64)}

compile vectors integration/programs/stacks/long_vectors.c
compile libtells_less.so integration/programs/loading/libtells_less.c -shared -fPIC
pack <<'END'
less=LD_PRELOAD=/libsigward.so:/libtells_less.so
said() { grep -o 'signal frame: .* bytes'; }
echo "@ told $(env $with SIGWARD=on SIGWARD_LOG=info /vectors 8192 2>&1 | said)"
echo "@ told less $(env $less SIGWARD=on SIGWARD_LOG=info /vectors 8192 2>&1 | said)"
/sigward probe --seconds 1 2>&1 | sed "s|^|@ probe --seconds 1: |"
count "4096 plain" A=B 4096
count "4096 auto" $with 4096
count "4096 on" "$with SIGWARD=on" 4096
count "4096 told less" $less 4096
count "8192 plain" A=B 8192
END

boot "$kernel" ttyS0 qemu-system-riscv64 -cpu rv64,v=true,vlen=1024,vext_spec=v1.0
check "told signal frame: 5248 bytes"
check "told less signal frame: 5248 bytes"
check "probe --seconds 1:   a frame takes 5248 bytes; .*"
check "4096 plain: $dies"
for mode in auto on "told less"; do
    check "4096 $mode: $lives"
done
check "8192 plain: $lives"
