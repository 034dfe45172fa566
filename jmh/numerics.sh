#!/usr/bin/env bash
# usage: jmh/numerics.sh FOLDER [OUTPUT]
# What 8 bits do to the momentum of Muon: FOLDER has what a run recorded at every step,
#   ./muonium train --set use_8bit_optim=false --record-updates target/updates --record-at "$(seq -s, 1 100)"
# (10 MB a step). Prints a table in Markdown, writes pictures to OUTPUT (jmh/target/numerics). It measures no time. docs/numerics.md says what came out.
set -euo pipefail
home=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
source "$home/src/build/find-jdk.sh"

jdk=$(find_jdk 25) || { echo "jmh/numerics.sh: no JDK 25 was found: install one and point JAVA_HOME at it." >&2; exit 1; }
[ $# -ge 1 ] || { echo "usage: jmh/numerics.sh FOLDER [OUTPUT]" >&2; exit 2; }
mvn -q -B -f "$home/pom.xml" -DskipTests -Dmaven.test.skip package >&2
mvn -q -B -f "$home/jmh/pom.xml" process-classes >&2

exec "$jdk/bin/java" -Djava.awt.headless=true --enable-native-access=ALL-UNNAMED \
    -cp "$home/jmh/target/classes:$(cat "$home/jmh/target/classpath")" \
    dev.muonium.jmh.numerics.MomentumStudy "$1" "${2:-$home/jmh/target/numerics}"
