#!/bin/sh
# sh tests/build/umbrella.sh: include/lamina/lamina.hpp names every header that needs nothing but xsimd.
# sh tests/build/umbrella.sh --write: brings it up to date.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root/include"
wanted=$(mktemp)
trap 'rm -f "$wanted"' EXIT

find lamina -mindepth 2 -name '*.hpp' | LC_ALL=C sort | xargs awk '
FNR == 1 { names[++count] = FILENAME }
/^ *#include <lamina\// { sub(/^[^<]*</, ""); sub(/>.*/, ""); uses[FILENAME] = uses[FILENAME] " " $0; next }
/^ *#include <(Eigen|stb|nlohmann|zlib|torch|dnnl|cblas|mpi)/ { optional[FILENAME] = 1 }
END {
    do {
        changed = 0
        for (n = 1; n <= count; ++n) {
            parts = split(uses[names[n]], used, " ")
            for (p = 1; p <= parts; ++p)
                if (!(names[n] in optional) && used[p] in optional) { optional[names[n]] = 1; changed = 1 }
        }
    } while (changed)
    print "#pragma once"
    print "// The whole library; without the headers, if any, that need more than xsimd:"
    for (n = 1; n <= count; ++n) if (names[n] in optional) print "//   <" names[n] ">"
    print "/// Including one header per feature instead compiles faster; the folders are listed bottom up."
    print "#include <lamina/version.hpp>"
    folders = split("core random simd parallel kernels autograd ops nn vision losses optim train diffusion text io data interop models", folder, " ")
    for (f = 1; f <= folders; ++f) {
        first = 1
        for (n = 1; n <= count; ++n)
            if (index(names[n], "lamina/" folder[f] "/") == 1 && !(names[n] in optional)) {
                if (first) print ""
                first = 0
                print "#include <" names[n] ">"
            }
    }
}' >"$wanted"

if [ "${1:-}" = --write ]; then
    cp "$wanted" lamina/lamina.hpp
elif ! diff -u lamina/lamina.hpp "$wanted"; then
    echo "include/lamina/lamina.hpp is out of date: sh tests/build/umbrella.sh --write"
    exit 1
fi
