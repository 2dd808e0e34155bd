#!/bin/sh
# sh bench/peers/onnxruntime.sh   fetches ONNX Runtime's library through npm, which carries it for Linux, into the
# user's cache, where lamina_peers looks for it, and prints its path. Nothing happens when it is there already.
set -eu
version=1.30.0
case $(uname -sm) in
    "Linux x86_64") machine=x64 sum=ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23 ;;
    "Linux aarch64") machine=arm64 sum=1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76 ;;
    *) echo "onnxruntime: no library for $(uname -sm) in the package" >&2; exit 1 ;;
esac
folder=${XDG_CACHE_HOME:-$HOME/.cache}/lamina/onnxruntime
library=$folder/libonnxruntime.so.1
right() { [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d ' ' -f 1)" = "$sum" ]; }

if ! right "$library"; then
    command -v npm >/dev/null 2>&1 || { echo "onnxruntime: npm is needed to fetch it" >&2; exit 1; }
    mkdir -p "$folder"
    scratch=$(mktemp -d "$folder/fetch.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    # Packing downloads and runs none of the package's scripts.
    (cd "$scratch" && npm pack --silent "onnxruntime-node@$version" >/dev/null)
    tar xzf "$scratch/onnxruntime-node-$version.tgz" -C "$scratch" --strip-components 5 \
        "package/bin/napi-v6/linux/$machine/libonnxruntime.so.1"
    right "$scratch/libonnxruntime.so.1" || { echo "onnxruntime: the library is not the expected one" >&2; exit 1; }
    mv "$scratch/libonnxruntime.so.1" "$library"
fi
echo "$library"
