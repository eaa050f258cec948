# Fetches .NET from PyPI, and builds a managed program and a library in Go for it.
set -eu
place=$SUITE_CACHE/managed
programs=$(dirname "$0")/programs
mkdir -p "$place"
cd "$place"
if [ ! -x net/dotnetcore2/bin/dotnet ]; then
    python3 -m pip download -q --no-deps --only-binary :all: -d . dotnetcore2==3.1.23
    python3 -m zipfile -e dotnetcore2-3.1.23-*.whl net
    chmod +x net/dotnetcore2/bin/dotnet
fi
new() { [ ! "$1" -nt "$programs/$2" ]; }
if new managed.exe managed.cs; then
    mcs -out:managed.exe "$programs/managed.cs"
    cp managed.exe managed.dll
fi
! new libgoadds.so goadds.go || GOCACHE=$place/go GO111MODULE=off go build -buildmode=c-shared -o libgoadds.so "$programs/goadds.go"
cat >managed.runtimeconfig.json <<'END'
{"runtimeOptions": {"framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"},
  "configProperties": {"System.Globalization.Invariant": true}}}
END
