# stress-ng.sh [STRESSOR…]: each stressor does a fixed amount of work and checks its results.
cd "$SUITE_WORK" || exit
for stressor in sigabrt:20 sigchld:200 sigfd:1000 sigfpe:1000 sigio:200 signal:5000 signest:50 sigpending:1000 \
    sigpipe:500 sigq:1000 sigrt:1000 sigsegv:1000 sigsuspend:1000 sigtrap:1000 \
    bad-altstack:200 stack:100 stackmmap:20 context:500 fault:500 itimer:1000 \
    wait:100 waitcpu:2 zombie:500 fork:300 vfork:300 spawn:30 exec:50 daemon:50 kill:1000 clone:200 pthread:500 \
    mlock:1000 mlockmany:1 madvise:20 mincore:1000 mmap:5 mmapfixed:200 mmapfork:1 mprotect:200 mremap:50 \
    munmap:1 remap:50 shm-sysv:5 brk:2000 vm:50 vm-segv:20 malloc:2000; do
    name=${stressor%:*}
    [ $# = 0 ] || [[ " $* " = *" $name "* ]] || continue
    timeout -s KILL 40 $UNDER stress-ng --"$name" 1 --"$name"-ops "${stressor#*:}" \
        --verify --timeout 10 --oomable --vm-bytes 32m --mmap-bytes 8m 2>&1
    case $? in
        0) echo "ok $name" ;;
        4) echo "skip $name" ;; # not implemented here
        *) echo "not ok $name" ;;
    esac
done
