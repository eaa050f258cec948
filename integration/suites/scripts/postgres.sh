# postgres.sh: a connection and a process for each transaction, and recovery after backends crash.
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
as=()
[ "$(id -u)" = 0 ] && as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
check() { name=$1; shift; if "$@"; then echo "ok $name"; else echo "not ok $name"; fi; }
cd "$SUITE_WORK" || exit
export PGHOST=$SUITE_WORK PGUSER=tester PGDATABASE=postgres
ulimit -c 0
data=$SUITE_WORK/data
"${as[@]}" $UNDER "$bin/initdb" -D "$data" -U tester -A trust --no-sync >initdb.log
check initdb [ $? = 0 ]
"${as[@]}" $UNDER "$bin/postgres" -D "$data" -k "$SUITE_WORK" -c listen_addresses= -c fsync=off -c shared_buffers=16MB \
    -c log_min_messages=log >server.log 2>&1 &
server=$!
trap 'kill -INT $server 2>/dev/null; wait' EXIT
up() { for _ in $(seq 300); do "${as[@]}" "$bin/psql" -qtAc 'select 1' >up.log 2>&1 && return; sleep 0.1; done; false; }
check starts up
up || exit
check 'pgbench -i' "${as[@]}" $UNDER "$bin/pgbench" -q -i
check 'pgbench -C' "${as[@]}" $UNDER "$bin/pgbench" -n -C -c 4 -j 2 -t 50
check 'no transaction is lost' [ "$("${as[@]}" "$bin/psql" -qtAc 'select count(*) from pgbench_history')" = 200 ]
check 'parallel workers' [ "$("${as[@]}" "$bin/psql" -qtAc "set force_parallel_mode=on; set parallel_setup_cost=0;
    set parallel_tuple_cost=0; set min_parallel_table_scan_size=0; select count(*) from pgbench_accounts")" = 100000 ]
for signal in SEGV KILL ABRT; do
    "${as[@]}" "$bin/psql" -qtAc 'select pg_sleep(60)' >sleeper.log 2>&1 &
    for _ in $(seq 50); do
        victim=$("${as[@]}" "$bin/psql" -qtAc "select pid from pg_stat_activity where query = 'select pg_sleep(60)'")
        [ -n "$victim" ] && break
        sleep 0.1
    done
    "${as[@]}" kill -"$signal" "$victim"
    wait $!
    check "a backend dies of $signal: it is logged" eval 'for i in $(seq 50); do grep -q "was terminated by signal" server.log && break; sleep 0.1; done;
        grep -q "was terminated by signal $(kill -l $signal)" server.log'
    check "and the others start again" up
done
check 'nothing is lost' [ "$("${as[@]}" "$bin/psql" -qtAc 'select count(*) from pgbench_history')" = 200 ]
check 'a backend is asked to end' [ "$("${as[@]}" "$bin/psql" -qtAc "select pg_cancel_backend(pg_backend_pid())" 2>&1 |
    grep -c 'canceling statement')" = 1 ]
kill -INT $server
wait $server
check 'stops' [ $? = 0 ]
trap - EXIT
tail -5 server.log
