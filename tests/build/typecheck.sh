#!/bin/sh
# sh tests/build/typecheck.sh COMPILER: every test and example type-checks with all its templates, without a warning. A
# second compiler's opinion for a small part of what building costs.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
compiler=${1:-clang++}
eigen=
[ ! -d /usr/include/eigen3 ] || eigen="-isystem /usr/include/eigen3"
start=$(date +%s)
status=0
# shellcheck disable=SC2086  # $eigen is two words or none
find tests examples -name '*_test.cpp' -o -path 'examples/*.cpp' | sort |
    xargs -P "$(nproc 2>/dev/null || echo 2)" -n 1 "$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Werror \
        -I"$root/include" -I"$root" -I"$root/tests" $eigen || status=1
echo "$compiler: $(find tests examples -name '*_test.cpp' -o -path 'examples/*.cpp' | wc -l) files in $(($(date +%s) - start)) s"
exit $status
