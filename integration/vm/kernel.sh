#!/bin/sh
# Builds the test kernel NAME (no-preempt or preempt), once, and prints the path
# of its image: Debian's 6.1 with our patches, or Linux 5.2 to 5.4.1 from the
# folder TREE, unchanged. Kernels are kept in a cache folder, not in the repository:
#   ${XDG_CACHE_HOME:-~/.cache}/sigward/vm/HASH/NAME/bzImage
# HASH covers everything that goes into them: patches, configuration and the
# version of Debian's source package; for TREE its version, the files that contain
# the defect, and the compiler. To start afresh, remove the folder.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
package=linux-source-6.1
source=/usr/src/$package.tar.xz
cache=${VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sigward/vm}

say() { echo "vm: $*" >&2; }
die() { say "$*"; exit 2; }

need_tools() {
    missing=
    for pair in make:make gcc:gcc patch:patch xz:xz-utils flex:flex bison:bison bc:bc; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
    done
    [ -e /usr/include/libelf.h ] || missing="$missing libelf-dev"
    [ -e /usr/include/openssl/opensslv.h ] || missing="$missing libssl-dev"
    [ -z "$missing" ] || die "missing to build a kernel: apt install$missing"
}

need_space() { # folder, MiB
    free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$2" ] || die "$1 has $free MiB free; building a kernel needs $2 MiB"
}

# Unpacks Debian's source with our patches into the folder $work.
unpack() {
    tree=$work
    [ ! -e "$tree/patched" ] || return 0
    say "unpacking $source"
    rm -rf "$tree"
    mkdir -p "$tree"
    tar -C "$tree" -xf "$source" --strip-components=1
    for patch in "$here"/patch/*.patch; do
        patch -s -d "$tree" -p1 <"$patch" || die "$patch does not apply to $package $version"
    done
    touch "$tree/patched"
}

# Builds from the user's tree without writing to it. If a kernel was built inside the
# tree, make refuses that; then a copy is cleaned and used.
borrow() {
    mkdir -p "$work"
    for made in .config include/config arch/x86/include/generated; do
        [ -e "$tree/$made" ] || continue
        say "a kernel was built in $tree: its files are copied and cleaned"
        rm -rf "$work/source"
        cp -al "$tree" "$work/source" 2>/dev/null ||
            { rm -rf "$work/source"; cp -a "$tree" "$work/source"; }
        tree=$work/source
        make -s -C "$tree" mrproper >/dev/null
        return
    done
}

build() { # folder for the result, settings of make
    result=$1
    shift
    need_tools
    mkdir -p "$result"
    need_space "$cache" 3000
    $prepare

    out=$work/out-$name
    log=$result/build.log
    say "building the kernel '$name'$release (5 to 15 minutes; log: $log)"
    mkdir -p "$out"
    {
        make -C "$tree" O="$out" "$@" tinyconfig
        settings >"$out/settings"
        (cd "$out" && "$tree/scripts/kconfig/merge_config.sh" -m .config \
            "$here/config/common.config" settings)
        make -C "$tree" O="$out" "$@" olddefconfig
        nice make -C "$tree" O="$out" "$@" -j"$(nproc)" \
            KBUILD_BUILD_USER=sigward KBUILD_BUILD_HOST=vm bzImage
    } >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "the kernel '$name' does not build; whole log: $log"; }

    check_config "$out/settings" "$out/.config"
    cp "$out/.config" "$result/config"
    cp "$out/arch/x86/boot/bzImage" "$result/bzImage.new"
    mv "$result/bzImage.new" "$result/bzImage" # last: a bzImage is always complete
    rm -rf "$out"
}

# What the kernel has besides common.config.
settings() {
    if [ "$release" ]; then
        cat "$here/config/genuine"
        # The rest is only for the test kernels' rows.
        grep '^CONFIG_PREEMPT' "$here/config/$name.config"
    else
        cat "$here/config/$name.config"
    fi
}

# If the kernel's own dependencies drop a setting, that must not go unnoticed.
check_config() { # fragment, .config
    while read -r line; do
        case $line in
        CONFIG_*=n) continue ;;
        CONFIG_*=*) grep -qxF "$line" "$2" || die "the kernel '$name' was configured without $line" ;;
        "# CONFIG_"*" is not set") option=${line#\# } && option=${option%% *}
            ! grep -q "^$option=" "$2" || die "the kernel '$name' was configured with $option" ;;
        esac
    done <"$1"
}

# A part of TREE's version number.
version_of() { sed -n "s/^$1 *= *//p" "$tree/Makefile" 2>/dev/null | head -n 1; }

# Sets `release`, for messages, and `identity`: what TREE's kernels are built from.
judge_tree() {
    [ -d "$tree" ] || die "KERNEL_SOURCE=$tree is not a folder: unpack linux-5.4.1.tar.xz from kernel.org and give its folder"
    tree=$(CDPATH= cd -- "$tree" && pwd)
    [ -e "$tree/Kbuild" ] && [ -e "$tree/arch/x86/kernel/fpu/signal.c" ] && [ "$(version_of PATCHLEVEL)" ] ||
        die "KERNEL_SOURCE=$tree is not the source of Linux for x86: unpack linux-5.4.1.tar.xz from kernel.org and give its folder"
    case $tree$cache in
    *[\ :]*) die "KERNEL_SOURCE=$tree: the kernel cannot be built in a path with a blank or colon ($cache included): move it" ;;
    esac
    version=$(version_of VERSION).$(version_of PATCHLEVEL).$(version_of SUBLEVEL)
    case $version in
    5.2.* | 5.3.[0-9] | 5.3.1[0-4] | 5.4.[01]) ;;
    *) die "KERNEL_SOURCE=$tree is Linux $version, which does not have the defect: use 5.2 to 5.3.14, 5.4.0 or 5.4.1" ;;
    esac
    release=" of Linux $version$(version_of EXTRAVERSION)"
    compiler=
    for name_of_gcc in ${KERNEL_CC:-gcc-11 gcc-10 gcc-9 gcc}; do
        case $(echo __GNUC__ | "$name_of_gcc" -E -P -x c - 2>/dev/null) in
        9 | 10 | 11) compiler=$name_of_gcc && break ;;
        esac
    done
    [ "$compiler" ] || die "no GCC 9 to 11, which produce the defect and can build Linux $version (tried: ${KERNEL_CC:-gcc-11 gcc-10 gcc-9 gcc}): apt install gcc-11, or name one by KERNEL_CC"
    identity="$release $($compiler --version | head -n 1)
$(cd "$tree" && cat Makefile arch/x86/include/asm/fpu/*.h arch/x86/kernel/fpu/*.c | sha256sum)"
}

[ $# -ge 1 ] && [ $# -le 2 ] && [ -e "$here/config/$1.config" ] ||
    die "usage: kernel.sh no-preempt|preempt [TREE]"
name=$1
release=
if [ $# -eq 2 ]; then
    tree=$2
    judge_tree
    prepare=borrow
    hash=$({ echo "$identity"; cat "$here"/config/common.config "$here"/config/genuine; } | sha256sum | cut -c1-16)
    # With GCC 10 and later, the tools of these trees need -fcommon; the kernel does not.
    set -- CC="$compiler" HOSTCC="$compiler" HOSTCFLAGS=-fcommon KCFLAGS=-Wno-error
else
    [ -e "$source" ] || die "no $source: apt install $package"
    prepare=unpack
    version=$(dpkg-query -W -f '${Version}' "$package")
    hash=$({ echo "$package $version"; cat "$here"/patch/*.patch "$here"/config/*.config; } | sha256sum | cut -c1-16)
    set --
fi
result=$cache/$hash/$name
work=$cache/build-$hash

if [ ! -e "$result/bzImage" ]; then
    mkdir -p "$cache"
    # One build at a time: the kernels share the unpacked source.
    exec 9>"$cache/lock"
    flock 9
    [ -e "$result/bzImage" ] || build "$result" "$@" 9>&-
    # When every kernel is built, the source is no longer needed.
    all=yes
    for config in "$here"/config/*preempt.config; do
        [ -e "$cache/$hash/$(basename "$config" .config)/bzImage" ] || all=no
    done
    [ $all = no ] || rm -rf "$work"
fi
echo "$result/bzImage"
