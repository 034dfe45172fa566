#!/usr/bin/env bash
# usage: bundle.sh TARGET_FOLDER MAVEN CONSOLE_JAR
# Puts what a machine with a GPU needs into TARGET_FOLDER/muonium-cuda-bundle, and packs it: a Java runtime, the library without
# oneDNN, the CUDA backend, the command line, the tests of the device, the benchmarks, recordings, a text, and run.sh. Called by
# Maven in profile bundle, after the jars are made. Fails if the packed file is larger than 35 MB.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source src/build/find-jdk.sh
target=$(realpath "$1")
maven=$2
console=$(realpath "$3")
limit=35000000
bundle=$target/muonium-cuda-bundle
work=$target/bundle-work

fail() {
    echo "bundle.sh: $1" >&2
    exit 1
}

[ -d "$target/cuda-classes" ] || fail "the CUDA backend was not built: the bundle needs an nvcc of CUDA 13"
command -v xz >/dev/null || fail "xz is missing: install it (Debian: apt-get install xz-utils)"
jdk=$(find_jdk 25) || fail "no JDK 25 was found: install one and point JAVA_HOME at it"

rm -rf "$bundle" "$work/jars"
mkdir -p "$bundle"/{lib,test,jmh,bin,recordings} "$work/jars"

# --- the Java runtime --------------------------------------------------------------------------------------------------

# What jdeps finds in our jars, and what they reach otherwise: logging, the scan of the tests' jar, JMH's Unsafe and forks.
modules=java.base,java.desktop,java.logging,java.management,java.naming,java.xml,jdk.jfr,jdk.unsupported,jdk.management,jdk.zipfs
# Not compressed: xz packs what is not compressed to two thirds of what it makes of what is.
# Without most of what draws windows, prints, plays sounds and transforms XML: pictures of charts need none of it. Every package must
# keep a class, so it is nested classes that go, and the second half of the alphabet.
unused='regex:/java[.]desktop/(javax/(swing|sound|print)|sun/(print|swing|awt/X11)|com/sun/(java/swing|media))/.*[$].*'
unused+=',regex:/java[.]desktop/javax/swing/(plaf/(metal|nimbus|synth)|text|text/html)/[D-Z][^/]*'
unused+=',regex:/java[.]xml/com/sun/org/apache/(xalan|bcel)/.*[$].*'
link=(--add-modules "$modules" --strip-debug --no-header-files --no-man-pages --compress zip-0 --vm server
    --exclude-resources "$unused")
if [ "$(cat "$work/jre.made-by" 2>/dev/null)" != "$jdk ${link[*]}" ]; then
    rm -rf "$work/jre"
    "$jdk/bin/jlink" "${link[@]}" --output "$work/jre"
    rm -f "$work"/jre/lib/lib{awt_xawt,splashscreen,jsound,mlib_image,javajpeg}.so # windows, sounds, JPEG
    find "$work/jre" -name '*.so' -exec strip --strip-unneeded {} +
    printf '%s' "$jdk ${link[*]}" >"$work/jre.made-by"
fi
cp -a "$work/jre" "$bundle/runtime"

# --- jars, not compressed for the same reason -------------------------------------------------------------------------

# stored JAR FOLDER: a jar of a folder's files.
stored() {
    "$jdk/bin/jar" --create --no-compress --no-manifest --date=2026-11-23T00:00:00Z --file "$1" -C "$2" .
}

# repacked JAR SOURCE_JAR: the same jar, its files not compressed.
repacked() {
    local folder=$work/jars/repacked
    rm -rf "$folder"
    mkdir "$folder"
    (cd "$folder" && "$jdk/bin/jar" --extract --file "$2")
    # A signature would not survive, and nobody checks it.
    rm -f "$folder"/META-INF/*.SF "$folder"/META-INF/*.RSA
    # The tables of encodings other than GPT-2's: 6 MB.
    rm -f "$folder"/com/knuddels/jtokkit/{p50k,cl100k,o200k}_base.tiktoken
    # What JMH's statistics have no use for: half of the library.
    rm -rf "$folder"/org/apache/commons/math3/{ode,optim,optimization,geometry,genetics,fitting,filter,transform,ml}
    if [ -f "$folder/META-INF/MANIFEST.MF" ]; then
        mv "$folder/META-INF/MANIFEST.MF" "$work/jars/manifest"
        "$jdk/bin/jar" --create --no-compress --date=2026-11-23T00:00:00Z --manifest "$work/jars/manifest" --file "$1" -C "$folder" .
    else
        stored "$1" "$folder"
    fi
}

natives=dev/muonium/native/linux-x86_64
cp -a "$target/classes" "$work/jars/library"
rm -f "$work/jars/library/$natives"/{libdnnl.so.3,libgomp.so.1}
# What is listed is what is there: the CPU device says that it lacks oneDNN, the CUDA device does not ask.
sed -i '/^libmuonium\.so=/!d' "$work/jars/library/$natives/natives.properties"
stored "$bundle/lib/muonium.jar" "$work/jars/library"
stored "$bundle/lib/muonium-cuda13-linux-x86_64.jar" "$target/cuda-classes"

cp -a "$target/cli-classes" "$work/jars/cli"
text=$work/jars/cli/dev/muonium/cli/corpus/sotu.txt.gz
gzip -dc "$text" | tail -c 2000000 | sed 1d >"$bundle/text.txt"
rm -f "$text" # 3.6 MB; text.txt is its end
stored "$bundle/lib/muonium-cli.jar" "$work/jars/cli"

IFS=: read -ra dependencies < <(cat "$target/cli.modulepath"; echo) # Maven ends the file without a newline
for jar in "${dependencies[@]}"; do
    case $jar in
    */log4j-core-*) ;; # without it, log4j-api prints errors itself
    *) repacked "$bundle/lib/$(basename "$jar")" "$jar" ;;
    esac
done

# The tests bring no second copy of the command line, and no recordings: those stand beside, where the tests find them too.
cp -a "$target/test-classes" "$work/jars/tests"
rm -rf "$work/jars/tests/dev/muonium/cli/corpus" "$work/jars/tests/golden"
(cd "$work/jars/cli" && find . -type f) | (cd "$work/jars/tests" && xargs -d '\n' rm -f)
stored "$bundle/test/muonium-tests.jar" "$work/jars/tests"
repacked "$bundle/test/$(basename "$console")" "$console"
cp -a src/test/resources/golden "$bundle/recordings"

"$maven" -q -B -f jmh/pom.xml process-classes
stored "$bundle/jmh/muonium-jmh.jar" jmh/target/classes
IFS=: read -ra dependencies < <(cat jmh/target/classpath; echo) # Maven ends the file without a newline
for jar in "${dependencies[@]}"; do
    name=$(basename "$jar")
    [ -f "$bundle/lib/$name" ] || case $name in
    muonium-* | log4j-core-*) ;; # the first is the library that it was compiled with
    *) repacked "$bundle/jmh/$name" "$jar" ;;
    esac
done

# --- native programs, scripts ----------------------------------------------------------------------------------------

# The bench loads the two libraries from its own folder; the jars hold them too.
[ ! -f native/bench/cuda_bench.cu ] || src/build/native.sh "$target/native-cuda" muonium_cuda_bench
bench=$(find "$target/native-cuda" -name muonium_cuda_bench -type f | head -n 1)
[ -z "$bench" ] || install -m 755 "$bench" "$bundle/bin/cuda_bench"
install -m 755 "$target/cuda-classes/${natives}-cuda13/libmuonium_cuda.so" "$bundle/bin"
install -m 755 "$target/classes/$natives/libmuonium.so" "$bundle/bin"
cp src/bundle/run.sh src/bundle/parts.sh src/bundle/find-cuda.sh src/bundle/report.awk src/bundle/peer.py "$bundle"
cp src/bundle/README.md LICENSE NOTICE "$bundle"
[ ! -f "$target/cuda-resources.txt" ] || cp "$target/cuda-resources.txt" "$bundle"
git rev-parse HEAD >"$bundle/commit" 2>/dev/null || echo unknown >"$bundle/commit"

# --- packing ---------------------------------------------------------------------------------------------------------

packed=$target/muonium-cuda-bundle.tar.xz
# By name, so that libraries in bin and in lib lie near enough for xz to see that they are the same.
tar --create --sort=name --owner=0 --group=0 --mtime=2026-11-23 --directory "$target" muonium-cuda-bundle |
    xz --lzma2=preset=6,dict=64MiB >"$packed.part"
mv "$packed.part" "$packed"
size=$(stat -c %s "$packed")
for folder in runtime lib test jmh bin recordings; do
    printf '%8.1f MB %s\n' "$(($(du -sb "$bundle/$folder" | cut -f1) / 100000))e-1" "$folder"
done
echo "bundle: $packed, $size bytes packed (at most $limit)"
[ "$size" -le "$limit" ] || fail "the bundle is larger than $limit bytes: leave something out"
