#!/usr/bin/env bash
# usage: jmh/djl.sh [--steps N] [--hidden N] [--layers N] [--adamw RATE] [--muon RATE] [--corpus FILE.gz]
# Builds the library and trains a byte model in DJL's own trainer with DJL's AdamW and with Muonium's optimizers, taking turns, and prints
# loss, bytes of state, time per step, memory over time and whose addresses the arrays have. The first run downloads PyTorch (110 MB).
# What is measured and how to read it: jmh/README.md.
set -euo pipefail
home=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
source "$home/src/build/find-jdk.sh"

jdk=$(find_jdk 25) || { echo "jmh/djl.sh: no JDK 25 was found: install one and point JAVA_HOME at it." >&2; exit 1; }
mvn -q -B -f "$home/pom.xml" -DskipTests -Dmaven.test.skip package >&2
mvn -q -B -f "$home/jmh/pom.xml" -Pdjl process-classes >&2

exec "$jdk/bin/java" --enable-native-access=ALL-UNNAMED --illegal-native-access=deny \
    -Dai.djl.offline=true -DOPT_OUT_TRACKING=true \
    -DDJL_CACHE_DIR="$home/jmh/target/djl" -DENGINE_CACHE_DIR="$home/jmh/target/djl" \
    -cp "$home/jmh/target/classes:$(cat "$home/jmh/target/classpath-djl")" \
    dev.muonium.jmh.DjlTraining --corpus "$home/src/cli/resources/dev/muonium/cli/corpus/sotu.txt.gz" "$@"
