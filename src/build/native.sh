#!/usr/bin/env bash
# usage: native.sh BUILD_FOLDER TARGET [CMAKE_OPTION...]
# Configures native/ and builds a target of it ("all" with its tests), with Ninja where there is one, else with make.
# Without a change it takes a second.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$1
target=$2
shift 2

# A folder keeps the generator it was made with.
generator=()
if [ ! -f "$folder/CMakeCache.txt" ] && [ -z "${CMAKE_GENERATOR:-}" ] && command -v ninja >/dev/null; then
    generator=(-G Ninja)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
cmake -S native -B "$folder" "${generator[@]}" "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
cmake --build "$folder" --target "$target" --parallel "$(nproc)"
