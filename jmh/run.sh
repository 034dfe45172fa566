#!/usr/bin/env bash
# usage: jmh/run.sh [--quick] [JMH_OPTION...] [PATTERN...]
# Builds the library and the benchmarks, and runs those whose name matches a PATTERN (all without one).
#   jmh/run.sh -l                        lists them
#   jmh/run.sh --quick                   runs everything once, to see that it works: no figures to quote
#   jmh/run.sh OptimizerStep -prof gc    a whole step, and its garbage in bytes (gc.alloc.rate.norm)
#   jmh/run.sh NewtonSchulz -p shape=512x2048 -p way=gram
# How to read the figures: jmh/README.md.
set -euo pipefail
home=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
source "$home/src/build/find-jdk.sh"

options=(-prof dev.muonium.jmh.Rates)
if [ "${1:-}" = --quick ]; then
    shift
    options+=(-f 1 -wi 1 -w 10ms -i 1 -r 50ms)
fi

jdk=$(find_jdk 25) || { echo "jmh/run.sh: no JDK 25 was found: install one and point JAVA_HOME at it." >&2; exit 1; }
mvn -q -B -f "$home/pom.xml" -DskipTests -Dmaven.test.skip package >&2
mvn -q -B -f "$home/jmh/pom.xml" process-classes >&2

# A preset kernel type would slow one library down and not the other.
unset OPENBLAS_CORETYPE
# Makes memcpy bypass the cache in copies of 4 MiB and more; glibc's own threshold can be hundreds of MiB on a large server.
export GLIBC_TUNABLES=${GLIBC_TUNABLES:+$GLIBC_TUNABLES:}glibc.cpu.x86_non_temporal_threshold=0x400000
# JMH's own use of Unsafe is not ours to mend.
exec "$jdk/bin/java" --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow \
    -cp "$home/jmh/target/classes:$(cat "$home/jmh/target/classpath")" org.openjdk.jmh.Main "${options[@]}" "$@"
