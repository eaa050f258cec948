# kselftest.sh: the kernel's own tests of signals, waits and memory locks.
for test in $(cat "$SUITE_CACHE/kselftest/tests"); do
    mkdir -p "$SUITE_WORK/$test"
    cd "$SUITE_WORK/$test" || exit
    timeout 60 $UNDER "$SUITE_CACHE/kselftest/$test" 2>&1
    case $? in
        0) echo "ok $test" ;;
        4) echo "skip $test" ;;
        *) echo "not ok $test" ;;
    esac
done | sed -E 's/^(not )?ok ([0-9]+.*)/# \0/'
