#!/bin/sh
# sh tests/build/consume.sh BUILD: installs the configured BUILD into a temporary prefix, then builds and runs a project
# outside the tree that takes the library from there, as a subdirectory, through FetchContent and through pkg-config.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compiler=${CXX:-g++}
version=$(awk '/#define LAMINA_VERSION_/ { printf "%s%s", dot, $3; dot = "." }' "$root/include/lamina/version.hpp")

cmake --install "$build" --prefix "$work/prefix" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cp -R "$root/tests/build/consumer" "$work/source"

check() {
    info=$("$2") || { echo "$1: the program gave a wrong number"; exit 1; }
    case $info in
        "lamina $version: "*) echo "$1: $info" ;;
        *) echo "$1: expected version $version but the program says: $info"; exit 1 ;;
    esac
}

for from in package subdirectory fetch; do
    {
        cmake -S "$work/source" -B "$work/$from" -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$work/prefix" \
            -DLAMINA_FROM=$from -DLAMINA_SOURCE="$root" -DLAMINA_VERSION="$version" &&
            cmake --build "$work/$from"
    } >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    check "$from" "$work/$from/plain"
    check "$from, native" "$work/$from/native"
done
if [ "$(uname -m)" = x86_64 ] && ! grep -q 'means SSE2' "$work/log"; then
    echo "configuring says nothing about SSE2"
    exit 1
fi

if command -v pkg-config >/dev/null 2>&1; then
    flags=$(PKG_CONFIG_PATH=$work/prefix/share/pkgconfig pkg-config --cflags --libs "lamina = $version")
    # shellcheck disable=SC2086  # flags are words
    "$compiler" "$work/source/main.cpp" $flags -o "$work/by-pkg-config"
    check pkg-config "$work/by-pkg-config"
else
    echo "pkg-config: skipped, there is none"
fi
