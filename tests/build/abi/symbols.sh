#!/bin/sh
# sh symbols.sh OBJECT…: no two of these objects may define the same symbol of the library, because the linker would
# then run one file's instructions in the other's place.
set -eu
[ $# -gt 1 ] || { echo "two objects or more are needed" >&2; exit 2; }
for object in "$@"; do
    nm -C --defined-only --extern-only "$object" | cut -d' ' -f2- | grep -E '^[A-Za-z] .*lamina' | sort -u
done | sort | uniq -d | awk '{ print } END { exit NR > 0 }' || { echo "these symbols stand in several objects"; exit 1; }
echo "no symbol of the library is shared by: $*"
