# Sourced by tests/run.sh, examples/run.sh and bench/run.sh: finds what is missing and installs it through apt-get;
# on other systems names the packages and stops. POSIX sh.
#
#   lamina_need cmake builder xsimd doctest …   makes sure that these are there
#   lamina_configure DIR [cmake arguments]      configures DIR, with ninja and ccache when present
#   lamina_build DIR [targets]                  builds with one job per processor (lamina_jobs)

# name | how to see that it is there | apt | dnf | pacman | brew | vcpkg
lamina_packages='
compiler  |compiler|g++|gcc-c++|gcc|gcc|-
clang++   |command clang++|clang|clang|clang|llvm|-
cmake     |command cmake|cmake|cmake|cmake|cmake|-
builder   |command ninja make|ninja-build|ninja-build|ninja|ninja|-
xsimd     |header xsimd/xsimd.hpp|libxsimd-dev|xsimd-devel|xsimd|xsimd|xsimd
doctest   |header doctest/doctest.h|doctest-dev|doctest-devel|doctest|doctest|doctest
stb       |header stb/stb_image.h|libstb-dev|stb-devel|stb|-|stb
zlib      |header zlib.h|zlib1g-dev|zlib-devel|zlib|zlib|zlib
eigen     |header Eigen/Core eigen3/Eigen/Core|libeigen3-dev|eigen3-devel|eigen|eigen|eigen3
benchmark |header benchmark/benchmark.h|libbenchmark-dev|google-benchmark-devel|benchmark|google-benchmark|benchmark
onednn    |header oneapi/dnnl/dnnl.hpp|libdnnl-dev|onednn-devel|onednn|onednn|onednn
openblas  |library openblas|libopenblas-dev|openblas-devel|openblas|openblas|openblas
torch     |header ATen/ATen.h|libtorch-dev|-|python-pytorch|pytorch|-
torchvision|file /usr/lib/python3/dist-packages/torchvision/__init__.py|python3-torchvision|-|-|-|-
dataset   |file /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz|dataset-fashion-mnist|-|-|-|-
photos    |file /usr/share/backgrounds/Bridge_by_Sander_Klootwijk.jpg|lomiri-wallpapers-16.04|-|-|-|-
fortunes  |file /usr/share/games/fortunes/science|fortunes fortunes-min|-|-|-|-
mpi       |command mpicxx|libopenmpi-dev openmpi-bin|openmpi-devel|openmpi|open-mpi|-
pkg-config|command pkg-config|pkg-config|pkgconf-pkg-config|pkgconf|pkgconf|pkgconf
aarch64   |command aarch64-linux-gnu-g++|g++-aarch64-linux-gnu|-|aarch64-linux-gnu-gcc|-|-
qemu      |command qemu-aarch64 qemu-aarch64-static|qemu-user|qemu-user|qemu-user|-|-
clang-rt  |sanitizers|libclang-rt-14-dev|compiler-rt|compiler-rt|-|-
format    |command clang-format-14 clang-format|clang-format-14|clang-tools-extra|clang|clang-format|-
'

lamina_field() { printf '%s\n' "$lamina_packages" | awk -F'|' -v n="$1" -v f="$2" '{k=$1; gsub(/ /,"",k)} k==n {print $f; exit}'; }

# lamina_has KIND WORDS…: is any of these commands, headers, libraries or files there?
lamina_has() {
    kind=$1
    shift
    case $kind in compiler | sanitizers) set -- "${CXX:-g++}" ;; esac
    for word in "$@"; do
        case $kind in
            command | compiler) command -v "$word" >/dev/null 2>&1 && return 0 ;;
            file) [ -e "$word" ] && return 0 ;;
            header)
                printf '#if !__has_include(<%s>)\n#error missing\n#endif\n' "$word" |
                    "${CXX:-g++}" -std=c++20 -E -x c++ - >/dev/null 2>&1 && return 0 ;;
            sanitizers)
                echo 'int main() {}' | "$word" -x c++ - -fsanitize=address -o /dev/null >/dev/null 2>&1 && return 0 ;;
            library) echo 'int main() {}' | "${CXX:-g++}" -x c++ - -l"$word" -o /dev/null >/dev/null 2>&1 && return 0 ;;
        esac
    done
    return 1
}

# The chosen compiler comes from the package of its own name: g++-12, clang++-14 (package clang-14), clang++.
lamina_apt_name() {
    if [ "$1" = clang-rt ]; then echo "libclang-rt-$("${CXX:-clang++}" -dumpversion | cut -d. -f1)-dev"; return; fi
    if [ "$1" != compiler ]; then lamina_field "$1" 3; return; fi
    case ${CXX:-g++} in
        clang++*) echo "g++ clang${CXX#clang++}" ;;
        g++*) echo "${CXX:-g++}" ;;
        *) echo g++ ;;
    esac
}

lamina_missing() {
    for need in "$@"; do
        # shellcheck disable=SC2046  # the words of the check are arguments
        lamina_has $(lamina_field "$need" 2) || printf '%s ' "$need"
    done
}

lamina_need() {
    missing=$(lamina_missing "$@")
    [ -n "$missing" ] || return 0
    if command -v apt-get >/dev/null 2>&1; then
        packages=
        for need in $missing; do packages="$packages $(lamina_apt_name "$need")"; done
        as_root=
        if [ "$(id -u)" != 0 ]; then as_root=sudo; fi
        echo "Installing:$packages"
        # shellcheck disable=SC2086  # lists of words
        {
            $as_root apt-get update -qq || echo "apt-get update failed; trying with the lists at hand" >&2
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
        } || { echo "apt-get could not install:$packages" >&2; exit 1; }
        missing=$(lamina_missing "$@")
        [ -z "$missing" ] || { echo "Still missing after the installation: $missing" >&2; exit 1; }
        return 0
    fi
    echo "Missing: $missing" >&2
    column=4
    for manager in "dnf install" "pacman -S" "brew install" "vcpkg install"; do
        packages=
        absent=
        for need in $missing; do
            package=$(lamina_field "$need" $column)
            if [ "$package" = - ]; then absent="$absent $need"; else packages="$packages $package"; fi
        done
        printf '  %s%s%s\n' "$manager" "${packages:- (nothing)}" "${absent:+   (not packaged there:$absent)}" >&2
        column=$((column + 1))
    done
    case " $missing" in *" dataset "*)
        echo "The data set is four files from https://github.com/zalandoresearch/fashion-mnist (data/fashion), to be put" >&2
        echo "into /usr/share/datasets/fashion-mnist." >&2 ;;
    esac
    echo "Install these and run the script again." >&2
    exit 1
}

lamina_jobs() { nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2; }

lamina_configure() {
    directory=$1
    shift
    # A folder configured with another generator or compiler keeps that choice.
    if [ ! -f "$directory/CMakeCache.txt" ] && command -v ninja >/dev/null 2>&1; then set -- -G Ninja "$@"; fi
    if command -v ccache >/dev/null 2>&1; then
        export CCACHE_SLOPPINESS=pch_defines,time_macros
        set -- -DCMAKE_CXX_COMPILER_LAUNCHER=ccache "$@"
    fi
    mkdir -p "$directory"
    if ! cmake -S "$lamina_root" -B "$directory" "$@" >"$directory/configure.log" 2>&1; then
        cat "$directory/configure.log" >&2
        return 1
    fi
    grep '^-- lamina' "$directory/configure.log" | sed 's/^-- //' || true
}

lamina_build() {
    directory=$1
    shift
    # Keeps going after an error, so that one run shows them all.
    if [ -f "$directory/build.ninja" ]; then keep_going="-k 0"; else keep_going=-k; fi
    # shellcheck disable=SC2046,SC2086  # words
    cmake --build "$directory" --parallel "$(lamina_jobs)" $([ $# = 0 ] || echo --target "$@") -- $keep_going
}
