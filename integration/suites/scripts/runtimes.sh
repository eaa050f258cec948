# runtimes.sh: run-times and libraries that set alternate stacks, and rely on them.
cd "$SUITE_WORK" || exit
place=$SUITE_CACHE/runtimes
check() { name=$1; shift; if "$@"; then echo "ok $name"; else echo "not ok $name"; fi; }
for program in recovers overflow-ocaml; do
    timeout 60 $UNDER "$place/$program"
done
for test in reads_null divides aborts; do
    timeout 60 $UNDER "$place/faults" --run_test=$test >faults 2>&1
    check "Boost.Test: $test ends the test, not the program" grep -q '1 failure is detected' faults
    check "Boost.Test: $test is named" grep -qE 'memory access violation|SIGFPE|SIGABRT' faults
done
for where in main thread; do
    # An abort must not leave a core.
    (ulimit -c 0; timeout 60 $UNDER "$place/overflow-rust" $where) >rust 2>&1
    check "Rust: dies of SIGABRT ($where)" [ $? = 134 ]
    check "Rust: names the overflow ($where)" grep -q 'has overflowed its stack' rust
done
cat >load.erl <<'END'
-module(load).
-export([run/0]).
run() ->
    Self = self(),
    [spawn(fun() -> Self ! {N, lists:sum(lists:seq(1, N))} end) || N <- lists:seq(1, 500)],
    [receive {N, Sum} -> Sum = N * (N + 1) div 2 end || N <- lists:seq(1, 500)],
    io:format("ok Erlang: processes~n"),
    [begin Words = os:cmd("echo " ++ integer_to_list(N)), N = list_to_integer(string:trim(Words)) end
        || N <- lists:seq(1, 20)],
    io:format("ok Erlang: commands~n"),
    os:set_signal(sigusr2, handle),
    os:cmd("kill -USR2 " ++ os:getpid()),
    timer:sleep(100),
    io:format("ok Erlang: a signal~n"),
    halt(0).
END
erlc load.erl
timeout 60 $UNDER erl -noshell -s load run
