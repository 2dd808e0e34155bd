#!/bin/sh
# sh bench/run.sh [filter] [--benchmark_…]   builds and runs the Google Benchmark suite for this machine
# sh bench/run.sh --peers [filter]           times the same workloads with oneDNN, ONNX Runtime, OpenBLAS, libtorch too
# sh bench/run.sh --crossover [option…]      time and memory against length for four kinds of attention, as pictures
# sh bench/run.sh --compile [header…]        seconds and memory that the headers and the quickstart take to compile
set -eu
lamina_root=$(cd "$(dirname "$0")/.." && pwd)
. "$lamina_root/cmake/setup.sh"

if [ "${1:-}" = --compile ]; then
    shift
    lamina_need compiler xsimd stb zlib eigen
    exec sh "$lamina_root/bench/compile/measure.sh" "$@"
fi

configure() {
    lamina_configure "$@" -DCMAKE_CXX_COMPILER="${CXX:-g++}" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O3 \
        -DLAMINA_NATIVE=ON -DLAMINA_TESTS=OFF -DLAMINA_EXAMPLES=OFF >/dev/null
}

if [ "${1:-}" = --peers ]; then
    shift
    lamina_need compiler cmake builder xsimd onednn openblas torch
    # Its operators are loaded if they are there.
    if command -v apt-get >/dev/null 2>&1; then lamina_need torchvision; fi
    # Loaded at run time if it is there.
    sh "$lamina_root/bench/peers/onnxruntime.sh" >/dev/null || true
    build=$lamina_root/build/bench-peers
    configure "$build" -DLAMINA_BENCH=OFF -DLAMINA_PEERS=ON
    lamina_build "$build" lamina_peers
    exec "$build/bench/peers/lamina_peers" "$@"
fi

lamina_need compiler cmake builder xsimd benchmark zlib
build=$lamina_root/build/bench
configure "$build" -DLAMINA_BENCH=ON
if [ "${1:-}" = --crossover ]; then
    shift
    lamina_build "$build" lamina_crossover
    exec "$build/bench/lamina_crossover" "$@"
fi
lamina_build "$build" lamina_bench
case ${1:-} in
    "" | --*) ;;
    *) filter=$1; shift; set -- --benchmark_filter="$filter" "$@" ;;
esac
exec "$build/bench/lamina_bench" "$@"
