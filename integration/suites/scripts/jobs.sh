# jobs.sh: job control of bash and dash, each on its own terminal.
cd "$SUITE_WORK" || exit
check() { name=$1; shift; if "$@"; then echo "ok $name"; else echo "not ok $name"; fi; }
cat >session <<'SESSION'
set -m
sleep 100 &
kill -STOP %1; sleep 0.3; jobs
bg %1 >/dev/null; sleep 0.3; jobs
kill %1; wait %1; echo "first: $?"
(exit 3) & wait $!; echo "second: $?"
sleep 0.2 | (sleep 0.3; exit 4) | cat; echo "pipe: ${PIPESTATUS[1]}"
trap 'echo child' CHLD; (exit 5); trap - CHLD
trap 'echo handled' USR1; (sleep 0.2; kill -USR1 $$) & wait; echo "interrupted: $?"; wait
for i in 1 2 3 4 5 6 7 8; do (exit $i) & done; sum=0; while wait -n; r=$?; [ $r != 127 ]; do sum=$((sum+r)); done; echo "sum: $sum"
i=0; while [ $i -lt 200 ]; do (exit $i) & i=$((i+1)); done; wait; echo "storm: $?"
SESSION
timeout 60 script -qec "$UNDER bash --norc session" /dev/null >output.log 2>&1 </dev/null
cat output.log
check 'stopped' grep -q 'Stopped.*sleep 100' output.log
check 'running again' grep -q 'Running.*sleep 100' output.log
check 'killed' grep -q 'first: 143' output.log
check 'status' grep -q 'second: 3' output.log
check 'status in a pipe' grep -q 'pipe: 4' output.log
check 'CHLD' grep -q '^child' output.log
check 'a trap ends a wait' grep -q 'interrupted: 138' output.log
check 'after the trap' grep -q handled output.log
check 'storm' grep -q 'storm: 0' output.log
check 'wait -n' grep -q 'sum: 36' output.log
echo 'i=0; while [ $i -lt 200 ]; do (exit 3) & i=$((i+1)); done; wait; for i in 1 2 3; do x=$(sh -c "exit $i"); echo $?; done' >dash.sh
check 'dash' [ "$(timeout 60 $UNDER dash dash.sh | tr '\n' ' ')" = '1 2 3 ' ]
printf 'all: %s\n%%:; @sh -c "exit 0" && echo $@\n' "$(seq -s ' ' 300)" >Makefile
check 'make -j' [ "$(timeout 60 $UNDER make -s -j8 | grep -c '^[0-9]')" = 300 ]
printf 'all: a b\na:; @sleep 0.2; exit 3\nb:; @sleep 0.1\n' >Makefile
timeout 60 $UNDER make -s -j8 >output.log 2>&1
check 'make reports a failure' grep -q 'Error 3' output.log
