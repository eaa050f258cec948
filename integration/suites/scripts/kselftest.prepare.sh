# Extracts the tests from Debian's kernel source and builds them.
set -eu
place=$SUITE_CACHE/kselftest
[ ! "$place/tests" -nt "$0" ] || exit 0
mkdir -p "$place"
cd "$place"
tests="sigaltstack/sas x86/sigreturn x86/sigaltstack x86/single_step_syscall x86/syscall_nt x86/ptrace_syscall
x86/test_mremap_vdso vm/mlock2-tests vm/mlock-random-test vm/mremap_dontunmap vm/mremap_test
vm/map_fixed_noreplace vm/madv_populate vm/on-fault-limit mincore/mincore_selftest pidfd/pidfd_wait
pidfd/pidfd_poll_test kcmp/kcmp_test clone3/clone3 timers/posix_timers exec/non-regular"
archive=$(ls /usr/src/linux-source-*.tar.xz | tail -1)
tree=$(basename "$archive" .tar.xz)
tar -xf "$archive" "$tree/tools/testing/selftests" "$tree/tools/include" "$tree/include/uapi/linux" \
    "$tree/arch/x86/include/asm"
self=$tree/tools/testing/selftests
# This test depends on how much of a file the kernel reads ahead: on a busy disk it fails without
# us too, 1 time in 300.
sed -i 's/^TEST(check_file_mmap)/__attribute__((unused)) static void left_out(struct __test_metadata *_metadata)/' \
    "$self/mincore/mincore_selftest.c"
for test in $tests; do
    folder=$(dirname "$test")
    mkdir -p "$folder"
    more=
    [ "$test" != vm/madv_populate ] || more=$self/vm/vm_util.c
    gcc -w -O2 -g -no-pie -D_GNU_SOURCE -I"$self" -I"$self/$folder" -o "$test" "$self/$test.c" $more -lpthread -lcap -lrt
done
rm -rf "$tree"
echo "$tests" >tests
