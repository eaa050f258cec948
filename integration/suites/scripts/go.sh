# go.sh: Go's tests of cgo: signals, threads, callbacks and stacks shared by Go and C.
cd "$SUITE_CACHE/go/test" || exit
timeout 200 $UNDER "$SUITE_CACHE/go/cgo.test" -test.v -test.timeout 180s 2>&1 | tee "$SUITE_WORK/told"
sed -nE 's/^ *--- PASS: ([^ ]+).*/ok \1/p; s/^ *--- FAIL: ([^ ]+).*/not ok \1/p; s/^ *--- SKIP: ([^ ]+).*/skip \1/p' "$SUITE_WORK/told"
