#!/bin/sh
# Build the test kernel NAME (no-preempt or preempt), once, and print the path
# of its image. Kernels live in a cache folder, never in the repository:
#   ${XDG_CACHE_HOME:-~/.cache}/sigward/vm/HASH/NAME/bzImage
# HASH covers everything that goes into them: patches, configuration and the
# version of Debian's source package. To start afresh, remove the folder.
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
    [ "$free" -ge "$2" ] || die "$1 has $free MiB free; building a kernel takes $2 MiB"
}

build() { # name, folder for the result
    need_tools
    mkdir -p "$2"
    need_space "$cache" 3000
    tree=$cache/build-$hash

    if [ ! -e "$tree/patched" ]; then
        say "unpacking $source"
        rm -rf "$tree"
        mkdir -p "$tree"
        tar -C "$tree" -xf "$source" --strip-components=1
        for patch in "$here"/patch/*.patch; do
            patch -s -d "$tree" -p1 <"$patch" || die "$patch does not apply to $package $version"
        done
        touch "$tree/patched"
    fi

    out=$tree/out-$1
    log=$2/build.log
    say "building the kernel '$1' (5 to 15 minutes; log: $log)"
    mkdir -p "$out"
    {
        make -C "$tree" O="$out" tinyconfig
        (cd "$out" && "$tree/scripts/kconfig/merge_config.sh" -m .config \
            "$here/config/common.config" "$here/config/$1.config")
        make -C "$tree" O="$out" olddefconfig
        nice make -C "$tree" O="$out" -j"$(nproc)" \
            KBUILD_BUILD_USER=sigward KBUILD_BUILD_HOST=vm bzImage
    } >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "the kernel '$1' does not build; whole log: $log"; }

    check_config "$1" "$out/.config"
    cp "$out/.config" "$2/config"
    cp "$out/arch/x86/boot/bzImage" "$2/bzImage.new"
    mv "$2/bzImage.new" "$2/bzImage" # the last step: a bzImage is a finished one
    rm -rf "$out"
}

# A setting that the kernel's own dependencies dropped must not go unnoticed.
check_config() { # name, .config
    while read -r line; do
        case $line in
        CONFIG_*=n) continue ;;
        CONFIG_*=*) grep -qxF "$line" "$2" || die "the kernel '$1' was configured without $line" ;;
        "# CONFIG_"*" is not set") option=${line#\# } && option=${option%% *}
            ! grep -q "^$option=" "$2" || die "the kernel '$1' was configured with $option" ;;
        esac
    done <"$here/config/$1.config"
}

[ $# -eq 1 ] && [ -e "$here/config/$1.config" ] || die "usage: kernel.sh no-preempt|preempt"
[ -e "$source" ] || die "no $source: apt install $package"
version=$(dpkg-query -W -f '${Version}' "$package")
hash=$({ echo "$package $version"; cat "$here"/patch/*.patch "$here"/config/*.config; } | sha256sum | cut -c1-16)
result=$cache/$hash/$1

if [ ! -e "$result/bzImage" ]; then
    mkdir -p "$cache"
    # One build at a time: the kernels share the unpacked source.
    exec 9>"$cache/lock"
    flock 9
    [ -e "$result/bzImage" ] || build "$1" "$result" 9>&-
    # The source is of no more use when every kernel is there.
    all=yes
    for config in "$here"/config/*preempt.config; do
        [ -e "$cache/$hash/$(basename "$config" .config)/bzImage" ] || all=no
    done
    [ $all = no ] || rm -rf "$cache/build-$hash"
fi
echo "$result/bzImage"
