#!/usr/bin/env bash
# debian-kernel.sh ARCHITECTURE SUITE FLAVOUR fetches Debian's kernel (30 to 110 MB), once, and prints the path of its
# image. For example: arm64 bookworm cloud-arm64 (6.1), arm64 trixie arm64-16k (6.12, pages of 16 KiB), riscv64 trixie
# riscv64 (6.12). debian-kernel.sh ARCHITECTURE busybox prints the path of a static busybox.
set -eu
cd "$(dirname "$0")/../.."
cache=${VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sigward/vm}/debian
from_debian=$PWD/packaging/from-debian

fetch() { # SUITE PACKAGE, into $work
    (cd "$work" && rm -f ./*.deb && DEBIAN_ARCHITECTURE=$architecture "$from_debian" "$@")
}

case $#-${2-} in
    2-busybox) architecture=$1 file=$cache/busybox-$1 ;;
    3-*) architecture=$1 file=$cache/$2-$3 ;;
    *) sed -n '2,4s/^# //p' "$0" >&2; exit 2 ;;
esac
if [ ! -e "$file" ]; then
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/XXXXXX")
    trap 'rm -rf "$work"' EXIT
    if [ "$2" = busybox ]; then
        fetch trixie busybox-static
        dpkg-deb --fsys-tarfile "$work"/*.deb | tar -x -C "$work" --wildcards '*bin/busybox'
        found=$(find "$work" -path '*bin/busybox')
    else
        # The package that names the latest one. Where kernels are signed, that one is made for the signature.
        fetch "$2" "linux-image-$3"
        package=$(dpkg-deb -f "$work"/*.deb Depends | sed 's/[ ,].*//')
        fetch "$2" "$package-unsigned" || fetch "$2" "$package"
        dpkg-deb --fsys-tarfile "$work"/*.deb | tar -x -C "$work" --wildcards './boot/vmlinu*'
        found=$(ls "$work"/boot/vmlinu*)
    fi
    mv "$found" "$file" # the last step: if it is there, it is complete
fi
echo "$file"
