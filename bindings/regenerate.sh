#!/usr/bin/env bash
# Makes bindings/java from the C headers with jextract. bindings/README.md tells when and how.
set -euo pipefail
export LC_ALL=C

readonly sets="muonium openmp dnnl cudart cublas cublaslt"

usage() {
  cat <<'TEXT'
usage: bindings/regenerate.sh [--check] [option...] [set...]

sets: muonium openmp dnnl cudart cublas cublaslt; cuda stands for the last three; none given means all.

  --check                 generate into a temporary folder and compare; exit 1 when something differs
  --dnnl-include DIR      folder that has oneapi/dnnl/dnnl.h      (or DNNL_INCLUDE; else from the local Maven repository)
  --cuda-include DIR      folder that has cuda_runtime_api.h      (or CUDA_INCLUDE; else nvcc is asked)
  --cublas-include DIR    folder that has cublas_v2.h, cublasLt.h (or CUBLAS_INCLUDE; else the CUDA folder)

exit status: 0 done, or nothing differs; 1 something differs; 2 a tool or a header is missing or not as expected.
TEXT
}

fail() {
  printf 'regenerate.sh: %s\n' "$*" >&2
  exit 2
}

check=false
wanted=()
while [ $# -gt 0 ]; do
  case $1 in
    --check) check=true ;;
    --dnnl-include | --cuda-include | --cublas-include)
      [ $# -gt 1 ] || fail "$1 needs a folder"
      case $1 in
        --dnnl-include) DNNL_INCLUDE=$2 ;;
        --cuda-include) CUDA_INCLUDE=$2 ;;
        --cublas-include) CUBLAS_INCLUDE=$2 ;;
      esac
      shift
      ;;
    -h | --help) usage && exit 0 ;;
    cuda) wanted+=(cudart cublas cublaslt) ;;
    *)
      case " $sets " in
        *" $1 "*) wanted+=("$1") ;;
        *) usage >&2 && fail "unknown option or set '$1'" ;;
      esac
      ;;
  esac
  shift
done
# shellcheck disable=SC2206 # the list of sets is split on purpose
[ ${#wanted[@]} -gt 0 ] || wanted=($sets)

bindings=$(cd "$(dirname "$0")" && pwd)
project=$(dirname "$bindings")

command -v jextract > /dev/null || fail "jextract is not on the PATH. Take an early-access build for JDK 25 from" \
  "https://jdk.java.net/jextract, or build https://github.com/openjdk/jextract, and put its bin folder on the PATH."
jextract_version=$(jextract --version 2>&1 | sed -n 's/^jextract \([^ ]*\).*/\1/p')
[ -n "$jextract_version" ] || fail "'jextract --version' did not tell a version"

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

# --- where the headers are ---------------------------------------------------------------------------------------

dnnl_include() {
  if [ -z "${DNNL_INCLUDE:-}" ]; then
    local version jar
    version=$(sed -n 's:.*<dnnl.version>\(.*\)</dnnl.version>.*:\1:p' "$project/pom.xml")
    jar=${MAVEN_REPOSITORY:-$HOME/.m2/repository}/org/bytedeco/dnnl/$version/dnnl-$version-linux-x86_64.jar
    [ -f "$jar" ] || fail "oneDNN's headers: set DNNL_INCLUDE to the folder that has oneapi/dnnl/dnnl.h, or let" \
      "'mvn process-resources' bring org.bytedeco:dnnl:$version (linux-x86_64), which contains them."
    command -v unzip > /dev/null || fail "oneDNN's headers are taken out of a jar with unzip, which is not on the PATH"
    unzip -qo "$jar" 'org/bytedeco/dnnl/linux-x86_64/include/*' -d "$temporary/dnnl" >&2
    DNNL_INCLUDE=$temporary/dnnl/org/bytedeco/dnnl/linux-x86_64/include
  fi
  echo "$DNNL_INCLUDE"
}

cuda_include() {
  if [ -z "${CUDA_INCLUDE:-}" ] && command -v nvcc > /dev/null; then
    CUDA_INCLUDE=$(nvcc --dryrun -x cu /dev/null 2>&1 | sed -n 's/^#\$ TOP=//p')/include
  fi
  echo "${CUDA_INCLUDE:-CUDA_INCLUDE (not set)}"
}

cublas_include() {
  [ -n "${CUBLAS_INCLUDE:-}" ] || CUBLAS_INCLUDE=$(cuda_include)
  echo "$CUBLAS_INCLUDE"
}

# need_header FOLDER HEADER REMEDY
need_header() {
  [ -f "$1/$2" ] || fail "there is no $2 in $1: $3"
}

# defined FILE NAME: the number that a header defines NAME as.
defined() {
  sed -n "s/^#define $2 *\([0-9][0-9]*\).*/\1/p" "$1" | head -n 1
}

# locate SET: sets header (as C includes it), folders (include path), origin (what the header belongs to), symbols
# (the method of NativeSymbols).
locate() {
  local include numbers
  case $1 in
    muonium)
      header=muonium.h symbols=muonium
      include=$project/native/include
      need_header "$include" $header "it belongs to the project; restore it with git"
      origin="ABI $(defined "$include/$header" MU_ABI_VERSION)"
      ;;
    openmp)
      header=openmp.h symbols=openMp
      include=$bindings
      need_header "$include" $header "it belongs to the project; restore it with git"
      origin="the OpenMP standard"
      ;;
    dnnl)
      header=oneapi/dnnl/dnnl.h symbols=dnnl
      include=$(dnnl_include)
      need_header "$include" $header "set DNNL_INCLUDE to the folder that has it"
      numbers=$include/oneapi/dnnl/dnnl_version.h
      origin="oneDNN $(defined "$numbers" DNNL_VERSION_MAJOR).$(defined "$numbers" DNNL_VERSION_MINOR).$(defined "$numbers" DNNL_VERSION_PATCH)"
      ;;
    cudart)
      header=cuda_runtime_api.h symbols=cudaRuntime
      include=$(cuda_include)
      need_header "$include" $header "set CUDA_INCLUDE to the include folder of a CUDA 13 toolkit"
      origin="CUDA runtime $(defined "$include/$header" CUDART_VERSION)"
      ;;
    cublas | cublaslt)
      header=cublas_v2.h symbols=cublas
      [ "$1" = cublas ] || header=cublasLt.h symbols=cublasLt
      include=$(cublas_include)
      need_header "$include" $header "set CUBLAS_INCLUDE to the folder of cuBLAS 13's headers"
      numbers=$include/cublas_api.h
      origin="cuBLAS $(defined "$numbers" CUBLAS_VER_MAJOR).$(defined "$numbers" CUBLAS_VER_MINOR).$(defined "$numbers" CUBLAS_VER_PATCH)"
      ;;
  esac
  folders=("$include")
  case $1 in
    # cuBLAS alone, without the runtime's headers beside it
    cublas*) [ -f "$include/driver_types.h" ] || folders+=("$(cuda_include)") ;;
  esac
}

# --- generation --------------------------------------------------------------------------------------------------

# extract ARGUMENT...: jextract on $header with the include path of the set.
extract() {
  local options=() folder
  for folder in "${folders[@]}"; do
    options+=(-I "$folder")
  done
  echo "#include <$header>" > "$temporary/header.h"
  jextract "${options[@]}" "$@" "$temporary/header.h"
}

# package_of SET: the folder, under a source root, of the set's package.
package_of() {
  sed -n 's/^--target-package *//p' "$bindings/$1.args" | tr . /
}

# arguments SET: writes the complete argument file of the set to $temporary/SET.args and fails on a name that the
# header does not declare, which jextract would pass over in silence.
arguments() {
  extract --dump-includes "$temporary/declared" > "$temporary/log" 2>&1 || { cat "$temporary/log" >&2 && fail "jextract could not read $header"; }
  grep -oE '^--include-[a-z]+ +[A-Za-z0-9_]+' "$temporary/declared" | tr -s ' ' | sort -u > "$temporary/names"
  cp "$bindings/$1.args" "$temporary/$1.args"
  if [ "$1" = muonium ]; then
    grep -E '^--include-[a-z]+ (mu|MU)_' "$temporary/names" >> "$temporary/$1.args"
  fi
  local missing
  missing=$(grep -E '^--include-' "$temporary/$1.args" | sort -u | comm -23 - "$temporary/names")
  [ -z "$missing" ] || fail "$1.args asks for what $header ($origin) does not declare: $(echo "$missing" | tr '\n' ' ')"
}

# finish SET FILE: the comment that says where the file is from, and the one way to symbols instead of jextract's,
# whose loader lookup knows nothing of libraries that another class loader loaded.
finish() {
  awk -v origin="from $header ($origin) and bindings/$1.args with jextract $jextract_version" \
      -v lookup="dev.muonium.bindings.NativeSymbols.$symbols()" '
    NR == 1 && /^\/\/ Generated by jextract/ {
      print "// GENERATED by bindings/regenerate.sh " origin "."
      print "// Do not edit: change the header or the arguments and run the script."
      next
    }
    /static final SymbolLookup SYMBOL_LOOKUP = / {
      print "    static final SymbolLookup SYMBOL_LOOKUP = " lookup ";"
      inside = 1
    }
    inside { if (/;[ \t]*$/) inside = 0; next }
    { print }' "$2" > "$2.finished"
  mv "$2.finished" "$2"
  local folder
  for folder in "${folders[@]}" "$temporary"; do
    ! grep -qF "$folder" "$2" || sed -i "s|$folder/*||g" "$2"
  done
  [ "$(head -n 1 "$2" | cut -c 1-12)" = "// GENERATED" ] || fail "$(basename "$2") does not begin as jextract's files did; adapt finish()"
}

# generate SET ROOT: the set's package under the source root ROOT.
generate() {
  locate "$1"
  arguments "$1"
  # An opaque handle has no layout: the warning that it was passed over says nothing new.
  extract @"$temporary/$1.args" --output "$2" 2> "$temporary/log" || { cat "$temporary/log" >&2 && fail "jextract failed on $header with $1.args"; }
  grep -vE 'warning: Skipping [A-Za-z0-9_]+ \(type Declared' "$temporary/log" >&2 || true
  local file root
  root=$2/$(package_of "$1")
  for file in "$root"/*.java; do
    finish "$1" "$file"
  done
  [ "$(grep -hF 'SYMBOL_LOOKUP = ' "$root"/*.java)" = "    static final SymbolLookup SYMBOL_LOOKUP = dev.muonium.bindings.NativeSymbols.$symbols();" ] ||
    fail "the symbol lookup of $1 is not where jextract used to put it; adapt finish()"
  ! grep -nE '(^|[^A-Za-z0-9_./*<])/[A-Za-z0-9_.-]+/[^ ]*\.h' "$root"/*.java >&2 || fail "a path of this machine is left in the files of $1 (above)"
}

# --- checksums: what BindingsUpToDateTest compares where there is no jextract -------------------------------------

digest() {
  sha256sum | cut -d ' ' -f 1
}

# checksums SET ROOT: the lines of one set. The tree's digest is over lines "digest  name", sorted by name.
checksums() {
  echo "$1 jextract $jextract_version"
  case $1 in
    muonium) echo "$1 header $(digest < "$project/native/include/muonium.h")" ;;
    openmp) echo "$1 header $(digest < "$bindings/openmp.h")" ;;
  esac
  echo "$1 arguments $(digest < "$bindings/$1.args")"
  echo "$1 output $(cd "$2/$(package_of "$1")" && sha256sum -- *.java | digest)"
}

# recorded SET FILE: the lines of a set; whatever else is in the file (marks of a merge conflict) is passed over.
recorded() {
  ! [ -f "$2" ] || grep -E "^$1 [a-z]+ [^ ]+$" "$2" || true
}

# --- main --------------------------------------------------------------------------------------------------------

output=$temporary/java
for set in "${wanted[@]}"; do
  generate "$set" "$output"
  checksums "$set" "$output" > "$temporary/$set.checksums"
done

if $check; then
  differs=false
  for set in "${wanted[@]}"; do
    package=$(package_of "$set")
    diff -r "$bindings/java/$package" "$output/$package" || differs=true
    recorded "$set" "$bindings/checksums.txt" | diff - "$temporary/$set.checksums" || differs=true
  done
  if $differs; then
    echo "The bindings differ from what the headers give (above): run bindings/regenerate.sh ${wanted[*]}" >&2
    exit 1
  fi
  echo "up to date: ${wanted[*]}"
  exit 0
fi

for set in "${wanted[@]}"; do
  package=$(package_of "$set")
  mkdir -p "$bindings/java/$package"
  rm -rf "${bindings:?}/java/$package"
  mv "$output/$package" "$bindings/java/$package"
done
{
  echo "# SHA-256 of what the bindings were made from and of what came out. Written by bindings/regenerate.sh."
  for set in $sets; do
    if [ -f "$temporary/$set.checksums" ]; then
      cat "$temporary/$set.checksums"
    else
      recorded "$set" "$bindings/checksums.txt"
    fi
  done
} > "$temporary/checksums.txt"
mv "$temporary/checksums.txt" "$bindings/checksums.txt"
echo "regenerated: ${wanted[*]}"
