# nginx.sh: many reloads, and killed workers, while requests come in.
cd "$SUITE_WORK" || exit
check() { name=$1; shift; if "$@"; then echo "ok $name"; else echo "not ok $name"; fi; }
mkdir www logs
echo hello >www/index.html
port=$((20000 + $$ % 20000))
user=
[ "$(id -u)" = 0 ] && user='user nobody nogroup;'
cat >nginx.conf <<CONF
daemon off; worker_processes 2; pid $SUITE_WORK/pid; error_log $SUITE_WORK/error.log notice; $user
env SIGWARD; env SIGWARD_WAIT; env LD_PRELOAD; env SUITE_CALLS;
events { worker_connections 64; }
http {
    access_log off; client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
    server { listen 127.0.0.1:$port; root $SUITE_WORK/www; }
}
CONF
check 'configuration' $UNDER nginx -p "$SUITE_WORK" -e error.log -c "$SUITE_WORK/nginx.conf" -t
$UNDER nginx -p "$SUITE_WORK" -e error.log -c "$SUITE_WORK/nginx.conf" &
master=$!
trap 'kill -9 $master 2>/dev/null' EXIT
get() { # N: how many of N requests are answered; tries for at most 20 s
    /usr/bin/python3 - "$port" "$1" <<'PYTHON'
import sys, time, urllib.request
port, wanted = int(sys.argv[1]), int(sys.argv[2])
answered = 0
end = time.monotonic() + 20
for _ in range(wanted):
    while time.monotonic() < end:
        try:
            answered += urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read() == b"hello\n"
            break
        except OSError:
            time.sleep(0.05)
print(answered)
PYTHON
}
check 'answers' [ "$(get 10)" = 10 ]
(for _ in $(seq 30); do kill -HUP $master; sleep 0.05; done) &
check 'answers while it reloads' [ "$(get 200)" = 200 ]
wait $!
for _ in 1 2 3 4 5; do
    pkill -KILL -P $master
    sleep 0.2
done
check 'answers after its workers were killed' [ "$(get 50)" = 50 ]
check 'no worker is left unreaped' [ -z "$(ps -o stat= --ppid $master | grep Z)" ]
check 'reopens its logs' kill -USR1 $master
kill -QUIT $master
wait $master
check 'stops' [ $? = 0 ]
trap - EXIT
grep -E 'alert|emerg|crit' error.log | grep -v 'exited on signal 9' | head
