#!/usr/bin/env bash
# usage: look-for-tools.sh
# Says in one sentence each what the build needs and does not find.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/find-jdk.sh"

missing=0
say() {
    echo "[ERROR] $1" >&2
    missing=1
}

command -v cmake >/dev/null || say "CMake is missing: install version 3.20 or newer (Debian: apt-get install cmake)."
command -v "${CXX:-c++}" >/dev/null ||
    say "The C++ compiler '${CXX:-c++}' is missing: install one that knows C++20 (Debian: apt-get install g++) or set CXX."
command -v ninja >/dev/null || command -v make >/dev/null ||
    say "Neither ninja nor make is there to build the native library: install one (Debian: apt-get install ninja-build)."

# Only a hint: Maven's toolchain discovery has the last word, and may know a place that this does not.
find_jdk 25 >/dev/null ||
    echo "[WARNING] No JDK 25 was found: if the next step fails, install one (any vendor) and point JAVA_HOME at it." >&2

exit "$missing"
