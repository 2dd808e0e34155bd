#!/bin/sh
# sh tests/build/headers.sh COMPILER…: every header compiles alone and twice included, without a warning.
# Two at a time per processor is not worth its memory: one job per processor, syntax only.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root/include"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/check.sh" <<'END'
compiler=$1 header=$2 root=$3
eigen=
[ ! -d /usr/include/eigen3 ] || eigen="-isystem /usr/include/eigen3"
case $header in
    lamina/distributed/*)
        command -v mpicxx >/dev/null 2>&1 || exit 0
        eigen="$eigen $(mpicxx --showme:compile | sed 's/-I/-isystem /g')" ;;
esac
# shellcheck disable=SC2086  # $eigen is words or nothing
printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
    "$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Werror -I"$root/include" $eigen -x c++ - ||
    { echo "$compiler: $header does not stand alone"; exit 1; }
END
status=0
for compiler in "${@:-g++}"; do
    start=$(date +%s)
    find lamina -name '*.hpp' | sort |
        xargs -P "$(nproc 2>/dev/null || echo 2)" -I{} sh "$work/check.sh" "$compiler" {} "$root" || status=1
    echo "$compiler: $(find lamina -name '*.hpp' | wc -l) headers in $(($(date +%s) - start)) s"
done
exit $status
