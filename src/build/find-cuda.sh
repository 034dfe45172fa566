# Sourced: find_nvcc prints the path of an nvcc of CUDA 13, or fails and says why on standard error.

CUDA_MAJOR=13

find_nvcc() {
    local nvcc version on_path
    on_path=$(command -v nvcc || true)
    for nvcc in "${CUDACXX:-}" "$on_path" "${CUDA_HOME:+$CUDA_HOME/bin/nvcc}" "${CUDA_PATH:+$CUDA_PATH/bin/nvcc}" \
        /usr/local/cuda/bin/nvcc; do
        [ -n "$nvcc" ] && [ -x "$nvcc" ] || continue
        version=$("$nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9]*\)\..*/\1/p')
        if [ "$version" = "$CUDA_MAJOR" ]; then
            printf '%s\n' "$nvcc"
            return 0
        fi
        echo "$nvcc is of CUDA ${version:-unknown}, not $CUDA_MAJOR" >&2
    done
    echo "no nvcc of CUDA $CUDA_MAJOR on the PATH, in CUDA_HOME or in /usr/local/cuda" >&2
    return 1
}
