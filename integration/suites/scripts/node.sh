# node.sh: node with its worker threads, children and signals.
cd "$SUITE_WORK" || exit
timeout 120 $UNDER /usr/bin/node "$(dirname "$0")/programs/signals.js"
