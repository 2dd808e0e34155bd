#!/bin/sh
# Builds the tests and runs them through ctest, after installing what is missing.
set -eu
lamina_root=$(cd "$(dirname "$0")/.." && pwd)
. "$lamina_root/cmake/setup.sh"

usage() {
    cat <<'END'
sh tests/run.sh [options]
  --isa v1|v2|v3|v4|aarch64   instruction set to build for; without it the compiler's default
  --sanitize NAMES            address, undefined or thread; repeat it or separate by commas
  --compiler NAME             g++, clang++, g++-13, …
  --filter PATTERN            only tests whose name (folder/file, example_name) matches this regular expression
  --folders NAMES             only these folders of tests/, separated by commas, and no examples
  --optimize LEVEL            -O level, 2 unless a sanitizer (1) is on
  --werror                    warnings are errors
Emulators and sanitizers leave out the test cases named (large). The build goes to build/<configuration>. Status 0: all passed, 1: a failure, 77: this machine cannot run it.
END
}

isa= sanitizers= filter= folders= level= werror=OFF
CXX=${CXX:-g++}
while [ $# -gt 0 ]; do
    case $1 in
        --werror) werror=ON ;;
        --help | -h) usage; exit 0 ;;
        --isa | --sanitize | --compiler | --filter | --folders | --optimize)
            [ $# -gt 1 ] || { echo "$1 needs a value" >&2; exit 2; }
            case $1 in
                --isa) isa=$2 ;;
                --sanitize) sanitizers=${sanitizers:+$sanitizers,}$2 ;;
                --compiler) CXX=$2 ;;
                --filter) filter=$2 ;;
                --folders) folders=$(echo "$2" | tr ',' ';') ;;
                --optimize) level=$2 ;;
            esac
            shift ;;
        *) echo "unknown option: $1" >&2; usage >&2; exit 2 ;;
    esac
    shift
done
export CXX

flags= toolchain=-DCMAKE_CXX_COMPILER=$CXX runnable=yes small=OFF
has_cpu_flags() {
    for flag in "$@"; do grep -qw "$flag" /proc/cpuinfo 2>/dev/null || return 1; done
}
case $isa in
    "") ;;
    v1) flags=-march=x86-64 ;;
    v2) flags=-march=x86-64-v2; has_cpu_flags sse4_2 popcnt || runnable="SSE4.2" ;;
    v3) flags=-march=x86-64-v3; has_cpu_flags avx2 fma bmi2 || runnable="AVX2 and FMA" ;;
    v4) flags=-march=x86-64-v4; has_cpu_flags avx512f avx512bw avx512dq avx512vl avx512cd || runnable="AVX-512" ;;
    aarch64) ;;
    *) echo "--isa takes v1, v2, v3, v4 or aarch64, not $isa" >&2; exit 2 ;;
esac
case $(uname -m):$isa in
    x86_64:* | *:) ;;
    aarch64:aarch64) isa= ;;
    *) runnable="the x86-64 instruction set" ;;
esac
if [ "$runnable" != yes ]; then
    echo "skipped: this machine has no $runnable"
    exit 77
fi

for sanitizer in $(echo "$sanitizers" | tr ',' ' '); do
    case $sanitizer in
        address | undefined | thread) ;;
        *) echo "--sanitize takes address, undefined and thread, not $sanitizer" >&2; exit 2 ;;
    esac
done
if [ -n "$sanitizers" ]; then
    flags="$flags -fsanitize=$sanitizers -fno-sanitize-recover=all -fno-omit-frame-pointer -DLAMINA_CHECKED"
    level=${level:-1}
    small=ON
fi
level=${level:-2}
# GCC 12 warns of its own AVX-512 intrinsics (GCC bug 105593) when Eigen uses them.
case $isa:$CXX in v4:g++*) flags="$flags -Wno-error=uninitialized -Wno-error=maybe-uninitialized" ;; esac

if [ "$isa" = aarch64 ]; then
    lamina_need compiler cmake builder xsimd doctest stb eigen aarch64 qemu
    toolchain=-DCMAKE_TOOLCHAIN_FILE=$lamina_root/cmake/aarch64.cmake
    small=ON
else
    set -- compiler cmake builder xsimd doctest stb zlib eigen
    if [ -z "$folders" ]; then set -- "$@" dataset photos fortunes pkg-config; fi
    case ";$folders;" in *";distributed;"*) set -- "$@" mpi ;; esac
    lamina_need "$@"
    case $CXX:$sanitizers in clang*:?*) lamina_need clang-rt ;; esac
fi

name=$(printf '%s-%s-%s' "$isa" "$(echo "$sanitizers" | tr ',' '-')" "$([ "$CXX" = g++ ] || basename "$CXX")" |
    sed 's/--*/-/g; s/^-//; s/-$//')
build=$lamina_root/build/${name:-default}
examples=ON
if [ -n "$folders" ] || [ "$isa" = aarch64 ]; then examples=OFF; fi
# shellcheck disable=SC2086  # $toolchain is one word
lamina_configure "$build" $toolchain -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS="$flags" \
    -DCMAKE_CXX_FLAGS_RELEASE="-O$level" -DLAMINA_TESTS=ON -DLAMINA_EXAMPLES=$examples -DLAMINA_BENCH=OFF \
    -DLAMINA_WERROR=$werror -DLAMINA_TEST_FOLDERS="$folders" -DLAMINA_SMALL_TESTS=$small

cd "$build"
targets=
if [ -n "$filter" ]; then
    # The names say what has to be built: folder/file belongs to lamina_test_folder, example_x is its own target.
    ctest -N -R "$filter" | sed -n 's/^ *Test *#[0-9]*: //p' >ctest.selected
    [ -s ctest.selected ] || { echo "no test matches $filter" >&2; exit 1; }
    targets=$(awk -F/ '
        /^example_/ || !/\// { print; next }
        $1 != "build" { print "lamina_test_" $1; next }
        $2 ~ /^abi/ { print "lamina_test_abi" }
        $2 == "single_header" { print "lamina_test_single_header" }' ctest.selected | sort -u)
fi
if [ -z "$filter" ] || [ -n "$targets" ]; then
    # shellcheck disable=SC2086  # a list of targets
    lamina_build . $targets || { echo "tests/run.sh: the build failed ($build)"; exit 1; }
fi

{
    status=0
    ctest --output-on-failure -j "$(lamina_jobs)" ${filter:+-R "$filter"} || status=$?
    echo "$status" >ctest.status
} 2>&1 | tee ctest.log
awk -v status="$(cat ctest.status)" -v build="$build" '
    /^ *[0-9]+\/[0-9]+ +Test +#/ {
        if (/ Passed /) ++passed; else if (/\*\*\*Skipped/) ++skipped; else { ++failed }
    }
    END {
        printf "tests/run.sh: %d passed, %d failed, %d skipped (%s)\n", passed, failed, skipped, build
        exit status != 0 || failed > 0 || passed == 0
    }' ctest.log
