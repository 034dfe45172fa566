# Sourced: finds the libraries of CUDA 13, and lets every program of the bundle find them.
#
# find_cuda OUT sets MUONIUM_CUDA_PATH and LD_LIBRARY_PATH where that is needed, and CUDA_FOUND to a sentence that says what was
# found where; it fails, with the sentence in CUDA_FOUND, if a library is missing. OUT is a folder for links.

CUDA_LIBRARIES="libcudart.so.13 libcublasLt.so.13 libcublas.so.13"

# Folders in which CUDA's libraries may stand, the likelier first.
cuda_folders() {
    local home python site
    for home in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda /usr/local/cuda-13*; do
        [ -n "$home" ] && printf '%s\n' "$home/lib64" "$home/lib" "$home/targets/x86_64-linux/lib"
    done
    [ -z "${CONDA_PREFIX:-}" ] || printf '%s\n' "$CONDA_PREFIX/lib" "$CONDA_PREFIX/targets/x86_64-linux/lib"
    printf '%s\n' /usr/lib/x86_64-linux-gnu /usr/lib64
    # NVIDIA's wheels: one folder for all libraries since CUDA 13, one for each before.
    for python in "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python3}" "$(command -v python3)" "$(command -v python)"; do
        [ -n "$python" ] && [ -x "$python" ] || continue
        while IFS= read -r site; do
            printf '%s\n' "$site/nvidia/cu13/lib" "$site/nvidia/cublas/lib" "$site/nvidia/cuda_runtime/lib"
        done < <("$python" -c 'import site, sys
for folder in dict.fromkeys([*sys.path, *site.getsitepackages(), site.getusersitepackages()]):
    print(folder) if folder else None' 2>/dev/null)
    done
}

linker_knows() {
    # Not grep -q: it ends at the first match, and what ldconfig has not written yet would make the pipeline fail.
    { ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | grep "^[[:space:]]*$1 " >/dev/null
}

find_cuda() {
    local links=$1/cuda-libraries library folder missing="" known=yes
    # Containers get the driver in a folder that ldconfig may not know.
    if ! linker_knows libcuda.so.1; then
        for folder in /usr/local/nvidia/lib64 /usr/lib/wsl/lib /usr/lib64 /usr/lib/x86_64-linux-gnu; do
            if [ -e "$folder/libcuda.so.1" ]; then
                export LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
                break
            fi
        done
    fi
    # For programs that bring CUDA's libraries themselves, and need the driver nevertheless.
    export DRIVER_LIBRARY_PATH=${LD_LIBRARY_PATH:-}
    if [ -n "${MUONIUM_CUDA_PATH:-}" ]; then
        CUDA_FOUND="CUDA's libraries in $MUONIUM_CUDA_PATH, as MUONIUM_CUDA_PATH says"
        export LD_LIBRARY_PATH=$MUONIUM_CUDA_PATH${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
        return 0
    fi
    for library in $CUDA_LIBRARIES; do
        linker_knows "$library" || known=no
    done
    if [ $known = yes ]; then
        CUDA_FOUND="CUDA's libraries are known to the dynamic linker"
        return 0
    fi
    # All from one place where there is one: libraries of two installations need not fit.
    local all
    while IFS= read -r folder; do
        all=yes
        for library in $CUDA_LIBRARIES; do
            [ -e "$folder/$library" ] || all=no
        done
        if [ $all = yes ]; then
            CUDA_FOUND="CUDA's libraries in $folder"
            export MUONIUM_CUDA_PATH=$folder
            export LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
            return 0
        fi
    done < <(cuda_folders)
    mkdir -p "$links"
    CUDA_FOUND="CUDA's libraries, gathered in $links:"
    for library in $CUDA_LIBRARIES; do
        all=no
        while IFS= read -r folder; do
            if [ -e "$folder/$library" ]; then
                ln -sfn "$(readlink -f "$folder/$library")" "$links/$library"
                CUDA_FOUND+=" $folder/$library"
                all=yes
                break
            fi
        done < <(cuda_folders)
        [ $all = yes ] || missing+=" $library"
    done
    if [ -n "$missing" ]; then
        CUDA_FOUND="there is no$missing in ldconfig, CUDA_HOME, /usr/local/cuda or a Python's nvidia folders"
        return 1
    fi
    export MUONIUM_CUDA_PATH=$links
    export LD_LIBRARY_PATH=$links${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
}
