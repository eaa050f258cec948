# deep.sh PROGRAM: a program that handles signals on an alternate stack, for src/deep.rs. What it
# prints is the same in each run, and its status is the program's.
cd "$SUITE_WORK" || exit
ulimit -c 0
# Go sets its own threads' stacks of 32 KiB past libc, so nothing makes room there: no signals to them.
# (Mono loads the library in Go too.)
export GODEBUG=asyncpreemptoff=1 LD_LIBRARY_PATH=$SUITE_CACHE/managed
case $1 in
    net) set -- "$SUITE_CACHE/managed/net/dotnetcore2/bin/dotnet" "$SUITE_CACHE/managed/managed.dll" .NET ;;
    net-go) set -- "$SUITE_CACHE/managed/net/dotnetcore2/bin/dotnet" "$SUITE_CACHE/managed/managed.dll" .NET go ;;
    mono) set -- mono "$SUITE_CACHE/managed/managed.exe" Mono ;;
    libsigsegv) set -- "$SUITE_CACHE/deep/recovers" ;;
    rust) set -- "$SUITE_CACHE/deep/overflow" main ;;
    rust-thread) set -- "$SUITE_CACHE/deep/overflow" thread ;;
    old-rust) set -- "$SUITE_CACHE/runtimes/overflow-rust" main ;;
    ocaml) set -- "$SUITE_CACHE/runtimes/overflow-ocaml" ;;
    boost) set -- "$SUITE_CACHE/runtimes/faults" --run_test=reads_null --color_output=no ;;
    erlang)
        cat >load.erl <<'CODE'
-module(load).
-export([run/0]).
run() ->
    os:set_signal(sigusr2, handle),
    [begin os:cmd("kill -USR2 " ++ os:getpid()), timer:sleep(20) end || _ <- lists:seq(1, 3)],
    io:format("signals~n"),
    halt(0).
CODE
        erlc load.erl
        set -- erl -noshell -s load run
        ;;
    ruby) set -- ruby -e 'Process.kill(:SEGV, $$); sleep 1' ;;
    python) set -- python3 -c '
import faulthandler, os, signal
faulthandler.enable()
faulthandler.register(signal.SIGUSR1)
for turn in range(3): os.kill(os.getpid(), signal.SIGUSR1)' ;;
    python-crash) set -- python3 -X faulthandler -c 'import faulthandler; faulthandler._sigsegv()' ;;
esac
timeout -k 5 60 $UNDER "$@" >output 2>&1
status=$?
# Not addresses, thread ids, or the state of the whole process.
grep -aE '^(ok|not ok|signals|fatal|thread|Fatal|  File|unknown|faults|.*error|\*\*\* |.*BUG)' output |
    sed -E 's/0x[0-9a-f]+|\([0-9]+\)//g'
exit $status
