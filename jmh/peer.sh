#!/usr/bin/env bash
# usage: jmh/peer.sh [--minutes N] [--rows SET,...] [--threads N,...] [--tier avx2] [--output FILE]
# Builds the library and measures its INT8 Muon step beside torch.optim.Muon in libtorch, which the first run downloads (110 MB).
# The last line is the speed-up on the GPT set per number of threads.
#   jmh/peer.sh                                          all rows on 1 and 2 threads, about 15 minutes
#   jmh/peer.sh --minutes 1 --rows 768x768,gpt2-small:2  a matrix, and 2 of a set's 12 layers
# What is measured and how to read it: jmh/README.md.
set -euo pipefail
home=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
source "$home/src/build/find-jdk.sh"
source "$home/jmh/cores.sh"

jdk=$(find_jdk 25) || { echo "jmh/peer.sh: no JDK 25 was found: install one and point JAVA_HOME at it." >&2; exit 1; }
cpus=$(cores)
mvn -q -B -f "$home/pom.xml" -DskipTests -Dmaven.test.skip package >&2
mvn -q -B -f "$home/jmh/pom.xml" -Ppeer process-classes >&2

exec "$jdk/bin/java" -Dorg.bytedeco.javacpp.cachedir="$home/jmh/target/javacpp" \
    -cp "$home/jmh/target/classes:$(cat "$home/jmh/target/classpath-peer")" \
    dev.muonium.jmh.Peer --cpus "$cpus" --output "$home/jmh/target/peer.csv" "$@"
