#!/usr/bin/env bash
# usage: cuda.sh BUILD_FOLDER CLASSES_FOLDER [ARCHITECTURES]
# Builds the CUDA backend where there is an nvcc of CUDA 13, reports what each kernel needs, and lays the library with its listing
# (natives.properties, as native-bundle.sh writes it) out as the classifier jar holds it. Says so where there is no nvcc, and leaves
# nothing that could pass for a library.
# ARCHITECTURES as CMake names them; without: machine code for sm_90, and PTX that drivers compile for all others from sm_80 on.
# "all": machine code for every architecture that CUDA 13 knows from sm_80 on in x86-64 machines, and PTX for later ones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source src/build/find-cuda.sh
folder=$1
classes=$2
architectures=${3:-90-real;80-virtual}
[ "$architectures" != all ] || architectures="80-real;86-real;89-real;90-real;100-real;103-real;120"
natives=$classes/dev/muonium/native/linux-x86_64-cuda13
library=libmuonium_cuda.so

skip() {
    rm -rf "$classes"
    echo "[INFO] CUDA: SKIPPED, $1; the CUDA backend and its jar are not built, everything else is."
    exit 0
}

[ "$architectures" != none ] || skip "as -Dcuda.architectures=none asks"
nvcc=$(find_nvcc 2>&1) || skip "${nvcc//$'\n'/; }"
nvcc=${nvcc##*$'\n'} # the lines before it name an nvcc of another major

options=(-DCMAKE_BUILD_TYPE=Release -DMUONIUM_CUDA=ON -DMUONIUM_EMULATOR=OFF "-DCMAKE_CUDA_COMPILER=$nvcc"
    "-DCMAKE_CUDA_ARCHITECTURES=$architectures" "-DCMAKE_CUDA_COMPILER_LAUNCHER=$PWD/src/build/nvcc-logged.sh")
# The newest compiler of Debian 12, and one that every nvcc 13 accepts; a newer default may be one that it refuses.
if [ -z "${CUDAHOSTCXX:-}" ] && command -v g++-12 >/dev/null; then
    options+=("-DCMAKE_CUDA_HOST_COMPILER=$(command -v g++-12)")
fi
src/build/native.sh "$folder" muonium_cuda "${options[@]}"

src/build/cuda-resources.sh "$folder" native/src/cuda/spills.txt "$(dirname "$folder")/cuda-resources.txt"

mkdir -p "$natives"
built=$(find "$folder" -name "$library" -type f | head -n 1)
[ -n "$built" ] || { echo "$library was not built under $folder" >&2; exit 1; }
cmp -s "$built" "$natives/$library" || install -m 755 "$built" "$natives/$library"
printf '%s=%s\n' "$library" "$(sha256sum "$natives/$library" | cut -d' ' -f1)" >"$natives/natives.properties"
