# Sourced: cores prints one processor of each core that this process may use, separated by commas. Two threads of one core are not two cores.
cores() {
    command -v taskset >/dev/null && command -v lscpu >/dev/null ||
        { echo "taskset and lscpu are missing: install util-linux." >&2; return 1; }
    local cpu
    lscpu -p=CPU,CORE | awk -F, '!/^#/ { print $1, $2 }' | while read -r cpu core; do
        if taskset -c "$cpu" true 2>/dev/null; then echo "$cpu $core"; fi
    done | awk '!seen[$2]++ { print $1 }' | paste -sd,
}
