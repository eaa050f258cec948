# coroutines.sh: coroutines whose contexts live on alternate stacks.
cd "$SUITE_WORK" || exit
place=$SUITE_CACHE/coroutines
check() { name=$1; shift; if "$@" >output 2>&1; then echo "ok $name"; else echo "not ok $name"; fi; cat output; }
pth() { timeout 60 $UNDER "$place/pth/test_$1"; }
check "Pth: threads, messages, mutexes" pth std
check "Pth: select, poll, pipes" pth misc
check "Pth: user contexts" pth uctx
mp() { printf 'one\ntwo words\n' | pth mp; }
check "Pth: message ports" mp
grep '^main: in' output | sed 's/^main: in <-- /ok Pth: message /'
sig() {
    timeout 60 $UNDER sh -c 'echo $$ >pid; exec "$0"' "$place/pth/test_sig" &
    # It counts only those that come while it waits.
    while sleep 0.3 && kill -INT "$(cat pid)"; do :; done 2>/dev/null
    wait $!
}
check "Pth: signals for threads" sig
for size in 1M 64K 16K; do
    timeout 60 $UNDER "$place/qemu-$size" --tap 2>&1 | sed -E "s/^(not )?ok [0-9]+ (.*)/\1ok QEMU, $size: \2/"
done
