# Builds a program for each run-time that sets an alternate stack of its own.
set -eu
place=$SUITE_CACHE/runtimes
programs=$(dirname "$0")/programs
mkdir -p "$place"
cd "$place"
new() { [ ! "$1" -nt "$programs/$2" ]; }
! new recovers recovers.c || gcc -O0 -w -o recovers "$programs/recovers.c" -lsigsegv
! new faults faults.cpp || g++ -O0 -w -o faults "$programs/faults.cpp"
! new overflow-rust overflow.rs || rustc -O -o overflow-rust "$programs/overflow.rs"
if new overflow-ocaml overflow.ml; then
    cp "$programs/overflow.ml" .
    ocamlopt -w -a -I +unix unix.cmxa -o overflow-ocaml overflow.ml
fi
