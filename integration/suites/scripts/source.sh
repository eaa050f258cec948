# source.sh PACKAGE: upstream's source of a Debian package, in $SUITE_CACHE/source/PACKAGE.
set -eu
place=$SUITE_CACHE/source/$1
[ ! -e "$place" ] || exit 0
lists=$SUITE_CACHE/lists
sources=$SUITE_CACHE/sources.list # not in that folder, which apt-get update tidies
mkdir -p "$lists/partial" "$SUITE_CACHE/source"
. /etc/os-release
signed=/usr/share/keyrings/debian-archive-keyring.gpg
# The mirror that this machine uses; its lists seldom name the sources.
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
echo "deb-src [signed-by=$signed] $mirror $VERSION_CODENAME main" >"$sources"
apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::Lists="$lists" -o APT::Sandbox::User=root "$@"
}
[ -e "$lists/updated" ] || { apt update && touch "$lists/updated"; }
scratch=$(mktemp -d "$SUITE_CACHE/source/fetching.XXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
apt source --download-only "$1"
mkdir tree
tar -xf ./*.orig.tar.?z -C tree --strip-components=1
mv tree "$place"
