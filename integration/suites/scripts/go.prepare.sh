# Builds Go's cgo tests once, without any library.
set -eu
place=$SUITE_CACHE/go
[ ! -e "$place/built" ] || exit 0
mkdir -p "$place"
root=$(go env GOROOT)
cp -rL "$root/misc/cgo/test" "$place/test"
export GOFLAGS=-mod=mod GO111MODULE=off GOCACHE=$place/cache
cd "$place/test"
go test -c -o "$place/cgo.test"
touch "$place/built"
