#!/usr/bin/env bash
# usage: memory-limit.sh BYTES COMMAND...
# Runs a command in a memory cgroup of its own, of version 2 or 1, that may hold that many bytes and no swap; needs root. Says how the command
# ended and the most that the cgroup held. Example, a model whose FP32 training state alone is larger than the limit:
#   src/demo/memory-limit.sh 3000000000 ./muonium train --preset d20-e3-full --steps 1 --set grad_accum_steps=1 \
#       --set eval_batches=1 --set sample_tokens=0 --set activation_checkpointing=block --set fp8_activations=true --set offload_optimizer=file
set -uo pipefail
limit=$1
shift
name=muonium-limit-$$

write() {
    echo "$1" 2>/dev/null >"$2" || { echo "memory-limit.sh: $2 cannot be written; it needs root and a memory controller" >&2; exit 3; }
}

if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    group=/sys/fs/cgroup/$name
    mkdir "$group" || exit 3
    write "$limit" "$group/memory.max"
    [ ! -f "$group/memory.swap.max" ] || write 0 "$group/memory.swap.max"
    peak=$group/memory.peak
else
    group=/sys/fs/cgroup/memory/$name
    mkdir "$group" || exit 3
    write "$limit" "$group/memory.limit_in_bytes"
    [ ! -f "$group/memory.memsw.limit_in_bytes" ] || write "$limit" "$group/memory.memsw.limit_in_bytes"
    peak=$group/memory.max_usage_in_bytes
fi

(
    write "$BASHPID" "$group/cgroup.procs"
    exec "$@"
)
code=$?
echo "memory-limit.sh: limit $limit bytes, at most $(cat "$peak" 2>/dev/null || echo unknown) held, exit code $code$([ $code = 137 ] && echo ' (killed)')"
rmdir "$group" 2>/dev/null
exit $code
