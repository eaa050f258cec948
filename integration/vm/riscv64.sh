#!/usr/bin/env bash
# riscv64.sh boots a real kernel for riscv64 in QEMU, on a processor with vector registers of 128 bytes, and proves what
# a real kernel alone can show: how large its frames are, that an alternate stack of 4 KiB dies of them and lives with the
# library, also where the kernel's word leaves out the vectors (pretended), and page faults while frames are written.
# Needs qemu-system-misc and opensbi. With a file, boots that kernel.
set -eu
cd "$(dirname "$0")/../.."
command -v qemu-system-riscv64 >/dev/null || { echo "riscv64.sh: apt-get install qemu-system-misc opensbi" >&2; exit 2; }
times=20
compiler=$(packaging/cross/compiler riscv64)
library=$(packaging/cross/build riscv64 | tail -n 1)
sysroot=${compiler%/bin/*}/riscv64-linux-gnu
kernel=${1:-$(integration/vm/debian-kernel.sh riscv64 trixie riscv64)}

root=$(mktemp -d)
trap 'rm -rf "$root" "$root.cpio"' EXIT
mkdir "$root"/{bin,lib,proc,dev,run,tmp}
cp "$(integration/vm/debian-kernel.sh riscv64 busybox)" "$root/bin/busybox"
chmod 755 "$root/bin/busybox"
cp "$library" "$root/libsigward.so"
cp "$(packaging/cross/command riscv64 | tail -n 1)" "$root/sigward"
cp -L "$sysroot"/lib/{ld-linux-riscv64-lp64d.so.1,libc.so.6} "$root/lib/"
compile() { "$compiler" -std=gnu99 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -o "$root/$1" "$2" "${@:3}"; }
compile vectors integration/programs/stacks/long_vectors.c
compile faults integration/vm/faults.c
compile libtells_less.so integration/programs/loading/libtells_less.c -shared -fPIC
cat >"$root/init" <<END
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
echo "@ \$(cat /proc/version)"
echo "@ \$(LD_SHOW_AUXV=1 /vectors 0 | grep MINSIGSTKSZ)"
# WHAT, VARIABLES, SIZE: how often /vectors lived, and how often a signal killed it.
count() {
    lived=0 died=0 other=0
    for round in \$(seq $times); do
        env \$2 /vectors \$3 >/dev/null 2>&1
        case \$? in 0) lived=\$((lived + 1)) ;; 139) died=\$((died + 1)) ;; *) other=\$((other + 1)) ;; esac
    done
    echo "@ \$1: lived \$lived, killed by SIGSEGV \$died, other \$other"
}
with=LD_PRELOAD=/libsigward.so
less=LD_PRELOAD=/libsigward.so:/libtells_less.so
said() { grep -o 'signal frame: .* bytes'; }
echo "@ told \$(env \$with SIGWARD=on SIGWARD_LOG=info /vectors 8192 2>&1 | said)"
echo "@ told less \$(env \$less SIGWARD=on SIGWARD_LOG=info /vectors 8192 2>&1 | said)"
for words in check doctor "run -- /faults" "run --set SIGWARD=on -- /faults" "probe --seconds 1"; do
    /sigward \$words 2>&1 | sed "s|^|@ \$words: |"
done
echo "@ faults plain: \$(/faults)"
echo "@ faults on: \$(env \$with SIGWARD=on /faults)"
count "4096 plain" A=B 4096
count "4096 auto" \$with 4096
count "4096 on" "\$with SIGWARD=on" 4096
count "4096 told less" \$less 4096
count "8192 plain" A=B 8192
reboot -f
END
chmod 755 "$root/init"
(cd "$root" && find . | busybox cpio -o --quiet -H newc) >"$root.cpio"
timeout 1200 qemu-system-riscv64 -M virt -cpu rv64,v=true,vlen=1024,vext_spec=v1.0 -smp 2 -m 512 -nodefaults \
    -display none -serial stdio -no-reboot -kernel "$kernel" -initrd "$root.cpio" \
    -append "console=ttyS0 quiet panic=-1" </dev/null | tr -d '\r' | sed -n 's/^@ //p' | tee "$root/words"

check() { # a line that must have been printed
    grep -qxE "$1" "$root/words" || { echo "riscv64.sh: not so: $1" >&2; exit 1; }
}
dies="lived 0, killed by SIGSEGV $times, other 0"
lives="lived $times, killed by SIGSEGV 0, other 0"
check "told signal frame: 5248 bytes"
check "told less signal frame: 5248 bytes"
check "probe --seconds 1:   a frame takes 5248 bytes; .*"
check "4096 plain: $dies"
for mode in auto on "told less"; do
    check "4096 $mode: $lives"
done
check "8192 plain: $lives"
check "faults plain: fresh [1-9][0-9]* child [1-9][0-9]* parent [0-9]+"
check "faults on: fresh 0 child 0 parent 0"
check "run --set SIGWARD=on -- /faults: fresh 0 child 0 parent 0"
