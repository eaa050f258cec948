# java.sh: OpenJDK, which relies on signals: implicit null checks, stack overflows,
# safepoints.
cd "$SUITE_WORK" || exit
javac -d . "$(dirname "$0")/programs/Signals.java" || exit
for mode in -Xint -Xcomp -XX:+UseSerialGC -XX:+UseParallelGC; do
    timeout 120 $UNDER java -Xmx256m $mode Signals | sed "s/\$/ ($mode)/"
done
