#!/bin/sh
# sh tests/build/typecheck.sh COMPILER: every test and example type-checks with all its templates, without a warning. A
# second compiler's opinion for a small part of what building costs.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
compiler=${1:-clang++}
eigen=
[ ! -d /usr/include/eigen3 ] || eigen="-isystem /usr/include/eigen3"
# What needs MPI is checked where there is one.
mpi= without_mpi=distributed.cpp
if command -v mpicxx >/dev/null 2>&1; then
    mpi=$(mpicxx --showme:compile | sed 's/-I/-isystem /g') without_mpi=
fi
sources() { find tests examples -name '*_test.cpp' -o -path 'examples/*.cpp' | grep -v "/${without_mpi:-none}\$" | sort; }
start=$(date +%s)
status=0
# shellcheck disable=SC2086  # lists of words or nothing
sources |
    xargs -P "$(nproc 2>/dev/null || echo 2)" -n 1 "$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Werror \
        -I"$root/include" -I"$root" -I"$root/tests" $eigen $mpi || status=1
echo "$compiler: $(sources | wc -l) files in $(($(date +%s) - start)) s"
exit $status
