# bash.sh TEST…: bash's own tests; each compares an output with the expected one.
cp -r "$SUITE_CACHE/source/bash/tests" "$SUITE_WORK/tests"
cd "$SUITE_WORK/tests" || exit
for header in stdlib string unistd; do echo "#include <$header.h>"; done >bashansi.h
for helper in recho zecho printenv xcase; do
    gcc -w -o "$helper" -I. "$SUITE_CACHE/source/bash/support/$helper.c" || exit
done
export THIS_SH=/bin/bash BUILD_DIR=$PWD BASH_TSTOUT=$PWD/output.log PATH="$PWD:$PATH"
[ $# -gt 0 ] || set -- $(ls run-* | sed 's/run-//' | grep -vxE 'all|minimal|gprof|dbg-support.*')
for test; do
    if timeout 120 $UNDER /bin/sh "./run-$test" </dev/null; then echo "ok $test"; else echo "not ok $test"; fi
done
