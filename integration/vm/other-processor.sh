# other-processor.sh is what arm64.sh and riscv64.sh have in common: a root with the library, the command and a program
# for signals amid vector code, a kernel in QEMU that runs it, and what it must have said. They source it, and set
# $debian (the architecture there), $processor (the compiler's name for it) and $times (how often each count is taken).

compiler=$(packaging/cross/compiler "$processor")
library=$(packaging/cross/build "$processor" | tail -n 1)
sysroot=${compiler%/bin/*}/$processor-linux-gnu
dies="lived 0, killed by SIGSEGV $times, other 0"
lives="lived $times, killed by SIGSEGV 0, other 0"

root=$(mktemp -d)
trap 'rm -rf "$root" "$root.cpio"' EXIT
mkdir "$root"/{bin,lib,proc,dev,run,tmp}
cp "$(integration/vm/debian-kernel.sh "$debian" busybox)" "$root/bin/busybox"
chmod 755 "$root/bin/busybox"
cp "$library" "$root/libsigward.so"
cp "$(packaging/cross/command "$processor" | tail -n 1)" "$root/sigward"
cp -L "$sysroot"/lib/{ld-linux-*.so.1,libc.so.6} "$root/lib/"

compile() { # NAME, SOURCE, options
    "$compiler" -std=gnu99 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -o "$root/$1" "$2" "${@:3}"
}
compile faults integration/vm/faults.c

# Packs the root. Its first program says what all kernels are asked, and then what standard input says, with `count` and
# $with.
pack() {
    cat >"$root/init" <<END
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
echo "@ \$(cat /proc/version)"
echo "@ \$(LD_SHOW_AUXV=1 /vectors 0 | grep MINSIGSTKSZ)"
# WHAT, VARIABLES, ARGUMENTS: how often /vectors lived, and how often a signal killed it.
count() {
    lived=0 died=0 other=0
    for round in \$(seq $times); do
        env \$2 /vectors \$3 >/dev/null 2>&1
        case \$? in 0) lived=\$((lived + 1)) ;; 139) died=\$((died + 1)) ;; *) other=\$((other + 1)) ;; esac
    done
    echo "@ \$1: lived \$lived, killed by SIGSEGV \$died, other \$other"
}
with=LD_PRELOAD=/libsigward.so
for words in check doctor "run -- /faults" "run --set SIGWARD=on -- /faults"; do
    /sigward \$words 2>&1 | sed "s|^|@ \$words: |"
done
echo "@ faults plain: \$(/faults)"
echo "@ faults on: \$(env \$with SIGWARD=on /faults)"
$(cat)
reboot -f
END
    chmod 755 "$root/init"
    (cd "$root" && find . | busybox cpio -o --quiet -H newc) >"$root.cpio"
}

boot() { # KERNEL, CONSOLE, a QEMU and its options
    timeout 1200 "${@:3}" -M virt -smp 2 -m 512 -nodefaults -display none -serial stdio -no-reboot -kernel "$1" \
        -initrd "$root.cpio" -append "console=$2 quiet panic=-1" </dev/null |
        tr -d '\r' | sed -n 's/^@ //p' | tee "$root/words"
    check "faults plain: fresh [1-9][0-9]* child [1-9][0-9]* parent [0-9]+"
    check "faults on: fresh 0 child 0 parent 0"
    check "run --set SIGWARD=on -- /faults: fresh 0 child 0 parent 0"
}

check() { # a line that must have been printed
    grep -qxE "$1" "$root/words" || { echo "${0##*/}: not so: $1" >&2; exit 1; }
}
