# make.sh: GNU make's own tests.
cp -r "$SUITE_CACHE/source/make-dfsg/tests" "$SUITE_WORK/tests"
cd "$SUITE_WORK/tests" || exit
$UNDER perl run_make_tests.pl -make /usr/bin/make "$@" >output.log 2>&1
cat output.log
# features/parallelism ............ ok (14 passed)
sed -nE 's/^([a-z]+\/[^ ]+) \.+ ok .*/ok \1/p; s/^([a-z]+\/[^ ]+) \.+ FAILED .*/not ok \1/p; s/^([a-z]+\/[^ ]+) \.+ N\/A.*/skip \1/p' output.log
