# go.sh test: misc/cgo/test, Go's tests of cgo: signals, threads, callbacks and stacks shared by
# Go and C.
# go.sh runtime: the runtime's tests of programs that crash, take signals or end, in Go and in C;
# they build these programs themselves.
export GO111MODULE=off GOCACHE=$SUITE_CACHE/go/cache
select=.
[ "$1" = test ] || select='Cgo|Race|Signal|Needm|Segv|Crash|CatchPanic|DropM|SigStack|EINTR|Abort'
cd "$SUITE_CACHE/go/$1" || exit
timeout 200 $UNDER "$SUITE_CACHE/go/$1.test" -test.v -test.run "$select" -test.timeout 180s 2>&1 |
    tee "$SUITE_WORK/output.log"
sed -nE 's/^ *--- PASS: ([^ ]+).*/ok \1/p; s/^ *--- FAIL: ([^ ]+).*/not ok \1/p; s/^ *--- SKIP: ([^ ]+).*/skip \1/p' "$SUITE_WORK/output.log"
