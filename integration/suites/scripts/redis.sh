# redis.sh TEST…: redis' own tests with Debian's server.
cp -r "$SUITE_CACHE/source/redis/tests" "$SUITE_WORK/tests"
cd "$SUITE_WORK" || exit
mkdir src
cp "$SUITE_CACHE/source/redis/redis.conf" "$SUITE_CACHE/source/redis/sentinel.conf" .
for program in server cli benchmark check-aof check-rdb; do ln -s "/usr/bin/redis-$program" "src/redis-$program"; done
for test; do set -- "$@" --single "$test"; shift; done
$UNDER tclsh tests/test_helper.tcl --clients 1 "$@" 2>&1 | sed 's/\x1b\[[0-9;]*m//g' | tee output.log
# [ok]: Name of the test (12 ms)
sed -nE 's/^\[ok\]: (.*) \([0-9]+ ms\)$/ok \1/p; s/^\[err\]: (.*) in tests.*/not ok \1/p; s/^\[(skip|ignore)\]: (.*)/skip \2/p' output.log
