# gdb.sh: gdb and the program it debugs, both with the library: a breakpoint in a handler on an
# alternate stack, steps over deliveries, backtraces, threads, fork.
cd "$SUITE_WORK" || exit
gcc -g -O0 -pthread -o debuggee "$(dirname "$0")/programs/debuggee.c" || exit
gdb() { timeout 60 $UNDER gdb -nx -batch -q -ex 'set startup-with-shell off' -ex 'handle SIGUSR1 nostop noprint' "$@" ./debuggee 2>&1; }
expect() { # NAME PATTERN… checks that the patterns occur in "output.log" in this order
    name=$1
    shift
    cat output.log
    if tr '\n' ' ' <output.log | grep -qE "$(printf '%s.*' "$@")"; then echo "ok $name"; else echo "not ok $name"; fi
}
gdb -ex 'break handler' -ex run -ex backtrace -ex finish -ex kill >output.log
expect 'break in a handler' 'Breakpoint 1, handler' '#0 +handler' '<signal handler called>' 'main'
gdb -ex 'handle SIGUSR1 stop print' -ex run -ex 'break handler' -ex stepi -ex continue -ex continue >output.log
expect 'stop at a signal, step into it' 'SIGUSR1' 'Breakpoint 1, handler' 'ended: 1 signal, 4 threads, child 7' 'exited normally'
gdb -ex 'break in_thread' -ex run -ex 'info threads' -ex 'delete' -ex continue >output.log
expect 'break in a thread' 'hit Breakpoint 1.*in_thread' 'Thread 0x.* \(LWP' 'ended: 1 signal, 4 threads, child 7' 'exited normally'
gdb -ex 'set follow-fork-mode child' -ex 'break in_child' -ex run -ex backtrace -ex continue >output.log
expect 'follow a child' 'Breakpoint 1, in_child' 'in_child' 'main' 'exited with code 07'
gdb -ex 'break main' -ex run -ex 'call (int)getpid()' -ex 'call in_thread(0)' -ex 'delete' -ex continue >output.log
expect 'call functions' 'Breakpoint 1, main' '\$1 = [0-9]+' 'ended: 1 signal' 'exited normally'
$UNDER ./debuggee wait >/dev/null &
sleep 1
$UNDER gdb -nx -batch -q -p "$(pgrep -P $$ -x debuggee)" -ex 'thread apply all backtrace' -ex detach >output.log 2>&1
kill $! 2>/dev/null
expect 'attach' 'pause' 'main' 'detached'
