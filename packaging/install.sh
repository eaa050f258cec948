#!/bin/sh
# install.sh [PREFIX] puts the files beside this script into PREFIX (/usr/local).
# install.sh --remove [PREFIX] removes them.
#
# Each file is replaced by rename(2). A program that starts meanwhile finds the old library or the
# new one; of one that is written in place it could load a part, and die.
set -eu
umask 022
from=${TREE:-$(dirname "$0")}
remove=
if [ "${1-}" = --remove ]; then
    remove=yes
    shift
fi
to=${1:-/usr/local}
case $to in -*) sed -n '2,3s/^# //p' "$0" >&2; exit 2 ;; esac
files=$(cd "$from" && find bin lib share \( -type f -o -type l \) | sort)

echo "$files" | while IFS= read -r file; do
    if [ -n "$remove" ]; then
        rm -f "$to/$file"
        continue
    fi
    folder=$to/${file%/*}
    new=$folder/.${file##*/}.new
    mkdir -p "$folder"
    rm -f "$new"
    cp -P "$from/$file" "$new"
    if [ -L "$new" ]; then :; elif [ -x "$from/$file" ]; then chmod 755 "$new"; else chmod 644 "$new"; fi
    mv -f "$new" "$to/$file"
done

if [ -n "$remove" ]; then
    for folder in "$to/lib/sigward" "$to/share/doc/sigward"; do
        [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || :
    done
fi
