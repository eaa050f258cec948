# ruby.sh TEST…: ruby's own tests with Debian's ruby.
cp -r "$SUITE_CACHE/source/ruby3.1"/{test,tool,lib} "$SUITE_WORK/"
cd "$SUITE_WORK" || exit
for test; do
    $UNDER /usr/bin/ruby -I tool/lib -I tool/test test/runner.rb -v --tty=no "test/ruby/test_$test.rb" 2>&1 | tee output.log
    # "[ 1/22] TestSignal#test_trap = 0.12 s"; below, "  1) Failure:" and the name on the next line.
    awk '/^ *\[ *[0-9]+\/[0-9]+\] / { sub(/^ *\[[^]]*\] /, ""); verdicts[$1] = "ok" }
        verdict { verdicts[$1] = verdict; verdict = "" }
        /^ *[0-9]+\) (Failure|Error):/ { verdict = "not ok" }
        /^ *[0-9]+\) Skipped:/ { verdict = "skip" }
        END { for (name in verdicts) print verdicts[name], name }' output.log
done
