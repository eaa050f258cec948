# Builds Go's own tests once, without any library.
set -eu
place=$SUITE_CACHE/go
[ ! -e "$place/built" ] || exit 0
mkdir -p "$place"
root=$(go env GOROOT)
cp -rL "$root/misc/cgo/test" "$place/test"
cp -rL "$root/src/runtime" "$place/runtime"
export GOFLAGS=-mod=mod GO111MODULE=off GOCACHE=$place/cache
(cd "$place/test" && go test -c -o "$place/test.test")
go test -c -o "$place/runtime.test" runtime
touch "$place/built"
