#!/usr/bin/env bash
# arm64-kernel.sh SUITE FLAVOUR fetches Debian's kernel for arm64 (30 to 40 MB), once, and prints the path of its
# image. For example: bookworm cloud-arm64 (6.1), trixie cloud-arm64 (6.12), trixie arm64-16k (6.12, pages
# of 16 KiB).
set -eu
cd "$(dirname "$0")/../.."
[ $# = 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
cache=${VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sigward/vm}/debian
kernel=$cache/$1-$2
if [ ! -e "$kernel" ]; then
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/XXXXXX")
    trap 'rm -rf "$work"' EXIT
    from_debian=$PWD/packaging/from-debian
    export DEBIAN_ARCHITECTURE=arm64
    # The package that names the latest one.
    (cd "$work" && "$from_debian" "$1" "linux-image-$2")
    package=$(dpkg-deb -f "$work"/*.deb Depends | sed 's/[ ,].*//')
    rm "$work"/*.deb
    (cd "$work" && "$from_debian" "$1" "$package-unsigned")
    dpkg-deb --fsys-tarfile "$work"/*.deb | tar -x -C "$work" --wildcards './boot/vmlinuz-*'
    mv "$work"/boot/vmlinuz-* "$kernel" # the last step: if it is there, it is complete
fi
echo "$kernel"
