#!/bin/sh
# Compiles each header alone (-O2), and the quickstart whole, and prints seconds and peak memory as a markdown table.
# Arguments name headers (core/tensor.hpp); without any, all of them are measured. Takes the best of LAMINA_REPEAT
# runs (default 3). CXX and CXXFLAGS as usual.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compiler=${CXX:-g++}
flags="-std=c++20 -O2 -I$root/include ${CXXFLAGS:-}"
[ ! -d /usr/include/eigen3 ] || flags="$flags -isystem /usr/include/eigen3"

# A child's peak memory is known to the shell's parent only, so a few lines of C++ run the compiler and report it.
cat >"$work/measure.cpp" <<'END'
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char** argv) {
    double best = 1e9;
    for (int run = 0; run < std::atoi(argv[1]); ++run) {
        const auto start = std::chrono::steady_clock::now();
        const pid_t child = fork();
        if (child == 0) {
            execvp(argv[2], argv + 2);
            _exit(127);
        }
        int status = 1;
        waitpid(child, &status, 0);
        if (status != 0) return 1;
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        if (seconds < best) best = seconds;
    }
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
#if defined(__APPLE__)
    usage.ru_maxrss /= 1024;
#endif
    return argc < 3 || std::printf("%.2f | %ld", best, usage.ru_maxrss / 1024) < 0;
}
END
"$compiler" -std=c++20 -O1 "$work/measure.cpp" -o "$work/measure"

# row NAME FILE [arguments]: one line of the table, or "does not compile".
row() {
    label=$1
    shift
    # shellcheck disable=SC2086  # flags are words
    if figures=$("$work/measure" "${LAMINA_REPEAT:-3}" "$compiler" $flags "$@" 2>"$work/errors"); then
        echo "| $label | $figures |"
    else
        echo "| $label | does not compile | |"
        sed 's/^/    /' "$work/errors" | head -n 5 >&2
    fi
}

echo "$("$compiler" --version | head -n 1), -O2 ${CXXFLAGS:-}, best of ${LAMINA_REPEAT:-3}"
echo
echo "| header | seconds | MiB |"
echo "| --- | --- | --- |"
echo >"$work/empty.cpp"
row "(empty file)" -c "$work/empty.cpp" -o "$work/out.o"
if [ $# = 0 ]; then
    # shellcheck disable=SC2046  # one word a header
    set -- $(cd "$root/include/lamina" && find . -name '*.hpp' | sed 's|^\./||' | sort)
fi
for header in "$@"; do
    echo "#include <lamina/$header>" >"$work/one.cpp"
    row "$header" -c "$work/one.cpp" -o "$work/out.o"
done

program=$root/examples/quickstart.cpp
if [ -f "$program" ]; then
    echo
    echo "| program | seconds | MiB |"
    echo "| --- | --- | --- |"
    row "quickstart.cpp" "$program" -o "$work/quickstart" -pthread -lz
    if [ -f "$work/quickstart" ]; then
        strip "$work/quickstart"
        size=$(wc -c <"$work/quickstart")
        echo
        echo "quickstart, stripped: $((size / 1024)) KiB"
    fi
fi
