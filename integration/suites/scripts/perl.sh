# perl.sh TEST…: perl's own tests with Debian's perl.
cp -r "$SUITE_CACHE/source/perl/t" "$SUITE_WORK/t"
# They look for the modules in ../lib, as in perl's build tree.
mkdir "$SUITE_WORK/lib"
for folder in $(perl -e 'print join " ", grep { m{^/usr/(lib|share)/} && -e } @INC'); do
    cp -rsn "$folder/." "$SUITE_WORK/lib/"
done
cd "$SUITE_WORK/t" || exit
ln -s /usr/bin/perl perl
for test; do
    timeout 120 $UNDER ./perl "$test.t" 2>&1 |
        sed -E "s|^ok ([0-9]+).*# skip.*|skip $test \1|; s|^(not )?ok ([0-9]+).*|\1ok $test \2|"
    echo "ok $test ended with ${PIPESTATUS[0]}"
done
