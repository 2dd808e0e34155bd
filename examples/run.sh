#!/bin/sh
# sh examples/run.sh [NAME [arguments]]: installs what is missing, builds examples/NAME.cpp (quickstart unless named)
# for this machine and runs it. --list names the examples. `distributed --processes N` runs as N processes (2).
set -eu
lamina_root=$(cd "$(dirname "$0")/.." && pwd)
. "$lamina_root/cmake/setup.sh"

if [ "${1:-}" = --list ]; then
    for file in "$lamina_root"/examples/*.cpp; do
        printf '%-20s %s\n' "$(basename "$file" .cpp)" "$(sed -n 's|^// *||p' "$file" | head -n 1)"
    done
    exit 0
fi
name=quickstart
case ${1:-} in
    "" | -*) ;;
    *) name=$1; shift ;;
esac
if [ ! -f "$lamina_root/examples/$name.cpp" ]; then
    echo "there is no examples/$name.cpp; sh examples/run.sh --list names them" >&2
    exit 2
fi

lamina_need compiler cmake builder xsimd stb zlib
case $name in
    quickstart | train_centernet) lamina_need dataset ;;
    distributed) lamina_need dataset mpi ;;
    superres) lamina_need photos ;;
    language_model) lamina_need fortunes ;;
    detect)
        # A photograph to look at where none is named, and the network's weights.
        photo=
        for argument; do if [ -f "$argument" ]; then photo=$argument; fi; done
        [ -n "$photo" ] || lamina_need photos
        case " $* " in
            *" --weights "*) ;;
            *) weights=$(sh "$lamina_root/cmake/centernet.sh"); set -- --weights "$weights" "$@" ;;
        esac ;;
esac
build=$lamina_root/build/examples
echo "Building $name with -O3 -march=native (lamina::native) in $build"
lamina_configure "$build" -DCMAKE_CXX_COMPILER="${CXX:-g++}" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O3 \
    -DLAMINA_NATIVE=ON -DLAMINA_TESTS=OFF -DLAMINA_EXAMPLES=ON -DLAMINA_BENCH=OFF >/dev/null
lamina_build "$build" "example_$name" >"$build/build.log" 2>&1 || { cat "$build/build.log" >&2; exit 1; }
if [ "$name" = distributed ]; then
    processes=2
    if [ "${1:-}" = --processes ]; then processes=$2; shift 2; fi
    # Open MPI refuses, unless told otherwise, to run as root and with more processes than processors.
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    set -- mpirun -n "$processes" "$build/examples/example_$name" "$@"
else
    set -- "$build/examples/example_$name" "$@"
fi
exec "$@"
