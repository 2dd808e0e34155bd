#!/bin/sh
# Checks what the compiler does not: which folder may include which, which standard headers are too dear, who may read
# ISA macros, and the shape every file has. Prints each offence as file:line and fails if there was one.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root/include"

find lamina -name '*.hpp' | LC_ALL=C sort | xargs awk '
BEGIN {
    # A folder sees itself and everything named after the arrow of the folders it stands on.
    above["core"] = "";                      above["random"] = "core";           above["simd"] = "core"
    above["parallel"] = "core";              above["autograd"] = "core random"
    above["kernels"] = "core random simd parallel"
    above["ops"] = above["kernels"] " kernels autograd"
    above["nn"] = above["ops"] " ops"
    split("optim train io interop vision diffusion text", upper)
    for (i in upper) above[upper[i]] = above["nn"] " nn"
    above["vision"] = above["nn"] " nn io"
    above["train"] = above["nn"] " nn io"
    above["data"] = above["ops"] " ops io"
    above["distributed"] = above["nn"] " nn"
    above["losses"] = above["nn"] " nn vision"
    above["models"] = above["losses"] " losses optim train data io interop diffusion text"
}
function offence(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; ++offences }
function finish_file() {
    if (file == "") return
    if (lines > 400 && file != "lamina/lamina.hpp") { printf "%s: %d lines, more than 400\n", file, lines; ++offences }
    if (!documented) { printf "%s: nothing is documented with ///\n", file; ++offences }
}
FNR == 1 {
    finish_file()
    file = FILENAME
    documented = 0
    parts = split(file, part, "/")
    folder = parts > 2 ? part[2] : ""
    if (folder != "" && !(folder in above)) offence("the strata know no folder " folder)
    if ($0 != "#pragma once") offence("does not open with #pragma once")
}
FNR == 2 && !/^\/\/\/? / { offence("says nothing about what it is (a // comment on line 2)") }
{ lines = FNR }
/\/\/\// { documented = 1 }
/^ *# *include/ {
    if ($0 !~ /#include <[^>]+>/) { offence("includes are written #include <…>"); next }
    included = $0
    sub(/^[^<]*</, "", included)
    sub(/>.*/, "", included)
    if (included ~ /^lamina\//) {
        count = split(included, target, "/")
        if (count > 2 && folder != "" && target[2] != folder && index(" " above[folder] " ", " " target[2] " ") == 0)
            offence(folder "/ may not include " included)
        if (count == 2 && folder != "" && included != "lamina/version.hpp") offence("no header includes " included)
        if (folder == "losses" && target[2] == "vision" && target[3] !~ /^(boxes|points)/)
            offence("of vision/, losses may use boxes and points only")
    }
    if (included ~ /^(iostream|ranges|regex|functional|format)$/) offence("<" included "> costs too much to compile")
    if (folder != "simd" && included ~ /^(xsimd\/|arm_neon|arm_sve|[a-z]*intrin\.h)/)
        offence("only simd/ includes xsimd or intrinsics")
}
FILENAME != "lamina/core/abi.hpp" && !/^ *\/\// {
    if (/__(AVX|SSE|SSSE|FMA__|F16C|BMI|ARM_|aarch64__|x86_64__|i386__)/) offence("only core/abi.hpp reads ISA macros")
}
END {
    finish_file()
    exit (offences > 0)
}' || exit 1

cd "$root"
sources=$(find include tests bench examples cmake CMakeLists.txt -type f ! -path '*/consumer-build/*')
status=0
unfinished='TO''DO|FIX''ME|\bXX''X\b|HA''CK|not implemen''ted|unimplemen''ted|place''holder'
# shellcheck disable=SC2086  # a list of files
if grep -nE "$unfinished" $sources; then
    echo "these lines are marked as unfinished"
    status=1
fi
# shellcheck disable=SC2086
if grep -nE "/ho""me/|/ro""ot/|$root/" $sources; then
    echo "these lines name a folder of one machine"
    status=1
fi
# shellcheck disable=SC2086
if awk 'FNR == 401 && FILENAME !~ /lamina\.hpp$/ { print FILENAME ": more than 400 lines" }' $sources | grep .; then status=1; fi
exit $status
