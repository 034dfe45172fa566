#!/usr/bin/env bash
# usage: nvcc-logged.sh NVCC ARGUMENT...
# CMake puts this before nvcc: it keeps what ptxas says of each kernel beside the object file, where cuda-resources.sh
# finds it even when nothing had to be compiled again, and makes every warning an error, ptxas's too.
set -euo pipefail

object=
previous=
for argument in "$@"; do
    [ "$previous" = -o ] && object=$argument
    previous=$argument
done
case $object in
*.o) ;;
*) exec "$@" ;; # linking
esac

log=$object.ptxas
rm -f "$log"
if ! "$@" -Xptxas=-v 2>"$log.tmp"; then
    cat "$log.tmp" >&2
    exit 1
fi
if grep -i 'warning' "$log.tmp" >&2; then
    echo "nvcc warned: a warning fails the build" >&2
    rm -f "$object"
    exit 1
fi
mv "$log.tmp" "$log"
