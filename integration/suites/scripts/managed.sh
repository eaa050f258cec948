# managed.sh: managed run-times, which turn faults into exceptions; .NET beside a library in Go, which
# moves its handlers to the alternate stack.
cd "$SUITE_WORK" || exit
place=$SUITE_CACHE/managed
export LD_LIBRARY_PATH=$place
timeout -k 5 60 $UNDER mono "$place/managed.exe" Mono
timeout -k 5 60 $UNDER "$place/net/dotnetcore2/bin/dotnet" "$place/managed.dll" .NET go
