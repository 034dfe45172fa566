#!/usr/bin/env bash
# usage: jmh/scaling.sh [--minutes N] [--sets SET:LAYERS,...] [--threads N,...] [--tier avx2] [--output FOLDER]
# Builds the library and measures its INT8 Muon step from 1M to 1G parameters, as far as there is memory, on 1 and 2 threads, and in the
# same run what the machine can do at most. Writes scaling.csv and scaling.png. How to read them: jmh/README.md.
set -euo pipefail
home=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
source "$home/src/build/find-jdk.sh"
source "$home/jmh/cores.sh"

jdk=$(find_jdk 25) || { echo "jmh/scaling.sh: no JDK 25 was found: install one and point JAVA_HOME at it." >&2; exit 1; }
cpus=$(cores)
mvn -q -B -f "$home/pom.xml" -DskipTests -Dmaven.test.skip package >&2
mvn -q -B -f "$home/jmh/pom.xml" process-classes >&2
"$home/src/build/native.sh" "$home/target/native" ceilings >&2

exec "$jdk/bin/java" -Djava.awt.headless=true --enable-native-access=ALL-UNNAMED \
    -cp "$home/jmh/target/classes:$(cat "$home/jmh/target/classpath")" dev.muonium.jmh.Scaling \
    --cpus "$cpus" --ceilings "$home/target/native/ceilings" --output "$home/jmh/target/scaling" "$@"
