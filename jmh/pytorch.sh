#!/usr/bin/env bash
# usage: jmh/pytorch.sh [--steps N] [--batch N] [--threads N]
# Builds the library and trains an MLP on the State of the Union addresses in PyTorch (libtorch, which the first run downloads: 110 MB),
# with PyTorch's AdamW and with Muonium's optimizers under the same module, and prints one table. Some minutes on two cores.
# What is measured and how to read it: jmh/README.md.
set -euo pipefail
home=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
source "$home/src/build/find-jdk.sh"
source "$home/jmh/cores.sh"

jdk=$(find_jdk 25) || { echo "jmh/pytorch.sh: no JDK 25 was found: install one and point JAVA_HOME at it." >&2; exit 1; }
cpus=$(cores)
steps=400 batch=256 threads=$(tr ',' '\n' <<<"$cpus" | wc -l)
while [ $# -gt 0 ]; do
    case "$1" in
        --steps | --batch | --threads)
            [[ ${2:-} =~ ^[1-9][0-9]{0,5}$ ]] || { echo "jmh/pytorch.sh: $1 needs a number" >&2; exit 2; }
            declare "${1#--}=$2"
            shift 2 ;;
        *) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
    esac
done
mvn -q -B -f "$home/pom.xml" -DskipTests -Dmaven.test.skip package >&2
mvn -q -B -f "$home/jmh/pom.xml" -Ppeer process-classes >&2

# As for the peer: nothing that presets a BLAS library or OpenMP, and an allocator that keeps large tensors' memory, for every row.
for preset in $(compgen -e | grep -E '^(OPENBLAS|GOTO|OMP|GOMP|KMP|MKL|BLIS|ONEDNN|DNNL|ATEN|TORCH|MALLOC)_' || true); do
    unset "$preset"
done
export OMP_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads
export MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=4294967296
exec taskset -c "$(cut -d, -f "1-$threads" <<<"$cpus")" "$jdk/bin/java" --enable-native-access=ALL-UNNAMED -XX:+UseSerialGC \
    -Dorg.bytedeco.javacpp.cachedir="$home/jmh/target/javacpp" \
    -cp "$home/jmh/target/classes:$(cat "$home/jmh/target/classpath-peer")" \
    dev.muonium.jmh.pytorch.ModuleTraining "$home/src/cli/resources/dev/muonium/cli/corpus/sotu.txt.gz" "$steps" "$batch" "$threads"
