#!/usr/bin/env bash
# usage: cuda-resources.sh BUILD_FOLDER SPILLS_FILE TABLE
# Writes what ptxas said of every kernel and architecture (registers, static shared memory, stack, spills) as a table, and a
# summary to the console. Fails for a spill that SPILLS_FILE does not explain: a line of it is PATTERN | ARCHITECTURE | REASON, with
# shell patterns for the first two.
set -euo pipefail
folder=$1
spills=$2
table=$3

logs=$(find "$folder" -name '*.o.ptxas' | sort)
[ -n "$logs" ] || { echo "no report of ptxas under $folder: were the kernels compiled through nvcc-logged.sh?" >&2; exit 1; }
demangle=$(command -v cu++filt || command -v c++filt) || {
    echo "neither cu++filt nor c++filt is there to read the names of the kernels: install binutils" >&2
    exit 1
}

rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
for log in $logs; do
    source=$(basename "$log" .cu.o.ptxas)
    "$demangle" <"$log" | awk -v OFS='\t' -v source="$source" '
    function short(name) {
        gsub(/\(anonymous namespace\)::/, "", name)
        gsub(/_INTERNAL_[0-9A-Za-z_]*::/, "", name)
        gsub(/muonium::cuda::/, "", name)
        sub(/^void /, "", name)
        # The list of parameters: from the parenthesis that the last character closes.
        if (name ~ /\)$/) {
            depth = 0
            for (i = length(name); i > 0; i--) {
                c = substr(name, i, 1)
                depth += c == ")" ? 1 : c == "(" ? -1 : 0
                if (depth == 0) {
                    name = substr(name, 1, i - 1)
                    break
                }
            }
        }
        return source ": " name
    }
    function value(text, unit) {
        return match(text, "[0-9]+ bytes " unit) ? substr(text, RSTART, RLENGTH) + 0 : 0
    }
    function quoted(text, quote) {
        sub("^[^" quote "]*" quote, "", text)
        return text
    }
    BEGIN { quote = sprintf("%c", 39) }
    /Compiling entry function / {
        text = quoted($0, quote)
        match(text, quote " for " quote)
        entry = substr(text, 1, RSTART - 1)
        architecture = substr(text, RSTART + RLENGTH)
        sub(quote ".*", "", architecture)
    }
    /Function properties for / {
        of = $0
        sub(/.*Function properties for /, "", of)
    }
    /bytes stack frame/ {
        stack = value($0, "stack frame"); stores = value($0, "spill stores"); loads = value($0, "spill loads")
        if (of != entry) {
            print short(of), architecture, "-", "-", stack, stores, loads
        } else {
            entry_stack = stack; entry_stores = stores; entry_loads = loads
        }
    }
    /Used [0-9]+ registers/ {
        match($0, /Used [0-9]+/)
        registers = substr($0, RSTART + 5, RLENGTH - 5)
        print short(entry), architecture, registers, value($0, "smem"), entry_stack, entry_stores, entry_loads
    }'
done | LC_ALL=C sort -t $'\t' -k1,1 -k2,2V >"$rows"

{
    echo "What ptxas reports of each kernel. shared: static shared memory in bytes, without what a launch adds; stack and spills: bytes per thread."
    printf '%-9s %9s %7s %6s %7s %7s  %s\n' "arch" "registers" "shared" "stack" "stores" "loads" "kernel"
    awk -F '\t' '{ printf "%-9s %9s %7s %6s %7s %7s  %s\n", $2, $3, $4, $5, $6, $7, $1 }' "$rows"
} >"$table"

# The reason that the file gives for the spill of a kernel on an architecture.
explanation() {
    local pattern architecture reason
    while IFS='|' read -r pattern architecture reason; do
        pattern=$(trimmed "$pattern")
        architecture=$(trimmed "$architecture")
        case $pattern in '' | '#'*) continue ;; esac
        # shellcheck disable=SC2254  # patterns, on purpose
        case $1 in $pattern) case $2 in $architecture) trimmed "$reason"; return 0 ;; esac ;; esac
    done <"$spills"
    return 1
}

trimmed() {
    local text=$1
    text=${text#"${text%%[![:space:]]*}"}
    printf '%s' "${text%"${text##*[![:space:]]}"}"
}

unexplained=0
explained=0
while IFS=$'\t' read -r kernel architecture _ _ _ stores loads; do
    if [ "$stores" != 0 ] || [ "$loads" != 0 ]; then
        if reason=$(explanation "$kernel" "$architecture") && [ -n "$reason" ]; then
            explained=$((explained + 1))
            echo "spill of $stores/$loads bytes: $kernel, $architecture: $reason" | tee -a "$table"
        else
            unexplained=$((unexplained + 1))
            echo "SPILL of $stores/$loads bytes without an explanation in $spills: $kernel, $architecture" | tee -a "$table" >&2
        fi
    fi
done <"$rows"

awk -F '\t' -v explained="$explained" -v unexplained="$unexplained" -v table="$table" '
    { kernels[$1] = 1; architectures[$2] = 1 }
    $3 + 0 > registers { registers = $3 + 0; most = $1 " on " $2 }
    $4 + 0 > shared { shared = $4 + 0 }
    $5 + 0 > 0 { stacks++ }
    END {
        for (k in kernels) n++
        for (a in architectures) m++
        printf "CUDA resources: %d kernels, %d architecture%s, at most %d registers (%s) and %d bytes of static shared memory, ", \
            n, m, m == 1 ? "" : "s", registers, most, shared
        printf "%d with a stack frame, spills: %d explained, %d not; all of it in %s\n", stacks, explained, unexplained, table
    }' "$rows" | tee -a "$table"
[ "$unexplained" = 0 ] || { echo "explain each spill in $spills, or get rid of it" >&2; exit 1; }
