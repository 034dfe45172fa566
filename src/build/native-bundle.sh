#!/usr/bin/env bash
# usage: native-bundle.sh ONEDNN_FOLDER BUNDLE_FOLDER
# Completes the folder of native libraries that goes into the jar: adds oneDNN's to ours, and lists all of them in
# natives.properties, in the order in which they must be loaded, each with its SHA-256. The loader names its cache folder
# by these, so that two versions never share one.
set -euo pipefail
onednn=$1
bundle=$2

cp --update --preserve=timestamps "$onednn"/libgomp.so.1 "$onednn"/libdnnl.so.3 "$bundle"
cd "$bundle"
listing=$(mktemp)
trap 'rm -f "$listing"' EXIT
for library in libgomp.so.1 libdnnl.so.3 libmuonium.so; do
    [ -f "$library" ] || { echo "$PWD/$library was not built" >&2; exit 1; }
    printf '%s=%s\n' "$library" "$(sha256sum "$library" | cut -d' ' -f1)"
done >"$listing"
cmp -s "$listing" natives.properties || install -m 644 "$listing" natives.properties
