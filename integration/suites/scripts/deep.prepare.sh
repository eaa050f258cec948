# Builds the programs that need no more than a C compiler and Rust's.
set -eu
place=$SUITE_CACHE/deep
programs=$(dirname "$0")/programs
mkdir -p "$place"
cd "$place"
new() { [ ! "$1" -nt "$programs/$2" ]; }
[ ! -e /usr/include/sigsegv.h ] || ! new recovers recovers.c || gcc -O0 -w -o recovers "$programs/recovers.c" -lsigsegv
! new overflow overflow.rs || "$RUSTC" -O -o overflow "$programs/overflow.rs"
