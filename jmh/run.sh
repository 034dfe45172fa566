#!/usr/bin/env bash
# usage: jmh/run.sh [JMH_OPTION...] [PATTERN]
# Builds the library and the benchmarks, and runs those whose name matches PATTERN (all without one).
#   jmh/run.sh -l                    lists them
#   jmh/run.sh Downcall
#   jmh/run.sh -prof gc -f 1 Downcall
set -euo pipefail
home=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
source "$home/src/build/find-jdk.sh"

jdk=$(find_jdk 25) || { echo "jmh/run.sh: no JDK 25 was found: install one and point JAVA_HOME at it." >&2; exit 1; }
mvn -q -B -f "$home/pom.xml" -DskipTests -Dmaven.test.skip package >&2
mvn -q -B -f "$home/jmh/pom.xml" process-classes >&2

# A preset kernel type would slow one library down and not the other. JMH's own use of Unsafe is not ours to mend.
unset OPENBLAS_CORETYPE
exec "$jdk/bin/java" --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow \
    -cp "$home/jmh/target/classes:$(cat "$home/jmh/target/classpath")" org.openjdk.jmh.Main "$@"
