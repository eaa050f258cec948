# strace.sh: strace and the program it traces, both with the library.
cd "$SUITE_WORK" || exit
gcc -g -O0 -pthread -o debuggee "$(dirname "$0")/programs/debuggee.c" || exit
check() { name=$1; shift; if "$@"; then echo "ok $name"; else echo "not ok $name"; fi; }
check 'follows threads and children' timeout 60 $UNDER strace -qq -f -o output.log ./debuggee
check 'shows the signal' grep -q -- '--- SIGUSR1' output.log
check 'shows the end of the child' grep -q 'wait4.*WEXITSTATUS(s) == 7' output.log
check 'shows four threads' [ "$(grep -c 'CLONE_THREAD' output.log)" -ge 4 ]
check 'counts' timeout 60 $UNDER strace -c -f -o counted ./debuggee
check 'has counted' grep -q rt_sigaction counted
timeout 60 $UNDER strace -f -o tampered -e inject=sigaltstack:error=ENOMEM ./debuggee >out
check 'tampers' grep -q 'ENOMEM.*INJECTED' tampered
check 'the program goes on without its stack' grep -q 'ended: 1 signal' out
$UNDER strace -D -qq -f -o detached ./debuggee >out
check 'as a grandchild' grep -q 'ended: 1 signal' out
