#!/usr/bin/env bash
# usage: run.sh [--quick] [--only PART[,PART...]] [--out DIR] [--budget SECONDS] [--list]
# Tests and measures Muonium's CUDA device on this machine, which needs an NVIDIA driver (580 or newer) and the libraries of
# CUDA 13, in ldconfig, CUDA_HOME or a Python environment's nvidia folders. Each part runs with its own limit of time and goes on
# after a failure. At the end: one table here, results.json and every log in DIR (default: ./results).
#   --quick           less of everything, to see that it works: no figures to quote
#   --only            these parts alone (--list names them)
#   --budget SECONDS  for all of it (default: 540); a part that no longer fits is skipped, and says so
# MUONIUM_CUDA_PATH names a folder that has CUDA's libraries and is then the only one.
# Exit code: 0 all that ran is well (a figure may be short of its target), 1 a part failed, 2 the command line is wrong,
# 3 there is no CUDA device here, and everything that needs one was skipped.
set -uo pipefail
export LC_ALL=C

BUNDLE=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
export BUNDLE
source "$BUNDLE/find-cuda.sh"
source "$BUNDLE/parts.sh"

usage() {
    echo "run.sh: $1; see the head of $BUNDLE/run.sh" >&2
    exit 2
}

out=results
budget=540
only=
QUICK=${QUICK:-} # a part, this script called by itself, has it from the environment
while [ $# -gt 0 ]; do
    case $1 in
    --quick) QUICK=yes ;;
    --only | --out | --budget | --part)
        [ $# -ge 2 ] || usage "$1 needs a value"
        case $1 in
        --only) only=$2 ;;
        --out) out=$2 ;;
        --budget) budget=$2 ;;
        --part) # this script, called by itself under a limit of time
            "part_$2"
            exit
            ;;
        esac
        shift
        ;;
    --list)
        printf '%s\n' "${PARTS[@]%%:*}"
        exit 0
        ;;
    -h | --help)
        sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
        exit 0
        ;;
    *) usage "there is no option '$1'" ;;
    esac
    shift
done
case $budget in '' | *[!0-9]*) usage "--budget is '$budget'; it must be a number of seconds" ;; esac
for name in ${only//,/ }; do
    printf '%s\n' "${PARTS[@]%%:*}" | grep -x "$name" >/dev/null || usage "there is no part '$name' (--list names them)"
done

mkdir -p "$out/logs" || exit 2
OUT=$(readlink -f "$out")
export OUT QUICK
rm -f "$OUT"/{parts,figures}.tsv "$OUT"/logs/*.log "$OUT/results.json"
: >"$OUT/parts.tsv"
: >"$OUT/figures.tsv"
# Not in the home of whoever lends the machine.
export MUONIUM_CACHE=${MUONIUM_CACHE:-$OUT/native-cache}

# note PART STATUS SECONDS REASON
note() {
    printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${4//$'\t'/ }" >>"$OUT/parts.tsv"
    printf '%-10s %-8s %4s s  %s\n' "$1" "$2" "$3" "$4"
}

last_line() {
    grep -v '^[[:space:]]*$' "$1" 2>/dev/null | tail -n 1 | cut -c1-300
}

run_part() {
    local name=$1 limit=$2 needs_device=$3 left begin log reason code
    log=$OUT/logs/$name.log
    left=$((budget - SECONDS))
    if [ -n "$only" ] && [[ ",$only," != *",$name,"* ]]; then
        return
    fi
    if [ "$needs_device" = device ] && [ -n "$no_device" ]; then
        note "$name" skipped 0 "there is no CUDA device here"
        return
    fi
    if [ "$left" -lt $((limit / 4)) ]; then
        note "$name" skipped 0 "$left s of the budget are left, it may need $limit"
        return
    fi
    begin=$SECONDS
    timeout --kill-after=10 $((limit < left ? limit : left)) "$BASH" "$BUNDLE/run.sh" --part "$name" >"$log" 2>&1
    code=$?
    case $code in
    0) note "$name" ok $((SECONDS - begin)) "$(last_line "$log")" ;;
    77) note "$name" skipped $((SECONDS - begin)) "$(last_line "$log")" ;;
    124 | 137) note "$name" FAILED $((SECONDS - begin)) "not done in $((limit < left ? limit : left)) s; last: $(last_line "$log")" ;;
    *) note "$name" FAILED $((SECONDS - begin)) "exit code $code; $(last_line "$log")" ;;
    esac
}

echo "Muonium $(cut -c1-12 "$BUNDLE/commit"), $(date -u +%Y-%m-%dT%H:%M:%SZ), $(uname -srm), budget $budget s${QUICK:+, quick}"
if find_cuda "$OUT"; then
    no_device=
else
    no_device=$CUDA_FOUND
fi
echo "$CUDA_FOUND"
# Asked before anything else, and whatever --only says: the reason stands beside everything that is skipped for it.
device=$(timeout 60 "$BASH" "$BUNDLE/run.sh" --part ask 2>"$OUT/logs/ask.log")
case $device in
"available"*) no_device= ;; # also where Muonium found the libraries and this script did not
*) no_device=${device:-the question whether there is a CUDA device failed: $(last_line "$OUT/logs/ask.log")} ;;
esac
echo "CUDA device: $device"

for entry in "${PARTS[@]}"; do
    IFS=: read -r name limit needs <<<"$entry"
    run_part "$name" "$limit" "$needs"
done

{
    printf 'commit\t%s\n' "$(cat "$BUNDLE/commit")"
    printf 'date\t%s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    printf 'system\t%s\n' "$(uname -srm)"
    printf 'libraries\t%s\n' "$CUDA_FOUND"
    printf 'device\t%s\n' "$device"
    printf 'gpu\t%s\n' "$(nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,clocks.mem --format=csv,noheader 2>/dev/null | head -n 1)"
    printf 'quick\t%s\n' "${QUICK:-no}"
    printf 'seconds\t%s\n' "$SECONDS"
} >"$OUT/about.tsv"
printf '\n%s\n%s\n\n' "CUDA device: $device" "$CUDA_FOUND"
awk -v json="$OUT/results.json" -f "$BUNDLE/report.awk" "$OUT/about.tsv" "$OUT/parts.tsv" "$OUT/figures.tsv"
echo "all of it: $OUT/results.json, logs in $OUT/logs"

if cut -f2 "$OUT/parts.tsv" | grep -x FAILED >/dev/null; then
    exit 1
fi
[ -z "$no_device" ] || exit 3
