#!/usr/bin/env bash
# usage: jmh/schedules.sh FILE...
# What schedules of Newton-Schulz do to the singular values of updates that were recorded in training, as tables in Markdown:
#   ./muonium train --record-updates target/updates && jmh/schedules.sh target/updates/*
# It measures no time. docs/schedules.md says what came out.
set -euo pipefail
home=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
source "$home/src/build/find-jdk.sh"

jdk=$(find_jdk 25) || { echo "jmh/schedules.sh: no JDK 25 was found: install one and point JAVA_HOME at it." >&2; exit 1; }
mvn -q -B -f "$home/pom.xml" -DskipTests -Dmaven.test.skip package >&2
mvn -q -B -f "$home/jmh/pom.xml" process-classes >&2

exec "$jdk/bin/java" --enable-native-access=ALL-UNNAMED \
    -cp "$home/jmh/target/classes:$(cat "$home/jmh/target/classpath")" dev.muonium.jmh.schedules.ScheduleStudy "$@"
