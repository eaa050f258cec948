# source.sh PACKAGE: unpacks the upstream source of a Debian package in
# $SUITE_CACHE/source/PACKAGE.
set -eu
place=$SUITE_CACHE/source/$1
[ ! -e "$place" ] || exit 0
from_debian=$(realpath "$(dirname "$0")/../../../packaging/from-debian")
. /etc/os-release
mkdir -p "$SUITE_CACHE/source"
scratch=$(mktemp -d "$SUITE_CACHE/source/fetching.XXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
"$from_debian" --source "$VERSION_CODENAME" "$1"
mkdir tree
# Of QEMU the part that is built: all of it is some 300 MB.
part=()
[ "$1" != qemu ] || part=(--wildcards --no-wildcards-match-slash '*/include' '*/util' '*/tests/unit')
tar -xf ./*.orig.tar.?z -C tree --strip-components=1 "${part[@]}"
mv tree "$place"
