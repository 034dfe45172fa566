#!/usr/bin/env bash
# usage: native-hashes.sh FOLDER
# Lists the native libraries of FOLDER in natives.properties, in the order in which they must be loaded, each with its
# SHA-256: the loader names its cache folder by them, so that two versions never share one.
set -euo pipefail
cd "$1"

listing=$(mktemp)
trap 'rm -f "$listing"' EXIT
for library in libgomp.so.1 libdnnl.so.3 libmuonium.so; do
    [ -f "$library" ] || { echo "$PWD/$library was not built" >&2; exit 1; }
    printf '%s=%s\n' "$library" "$(sha256sum "$library" | cut -d' ' -f1)"
done >"$listing"
cmp -s "$listing" natives.properties || install -m 644 "$listing" natives.properties
