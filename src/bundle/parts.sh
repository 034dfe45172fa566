# Sourced by run.sh: the parts, in the order in which they run, each with its limit of time in seconds and what it needs. A part
# prints what it does, ends with a line that sums it up, and returns 77 after a line that says why it was skipped. Its figures go
# to figures.tsv: NAME, VALUE, UNIT.

PARTS=(
    doctor:30:nothing
    smoke:60:device
    contract:180:device
    conform:60:device
    bench:60:device
    step:180:device
    peer:150:device
    compare:90:device
    medium-3b:120:device
    memcheck:90:device
    racecheck:90:device
)

# Logging by log4j-api alone, which would ask for log4j-core.
JAVA_OPTIONS=(--enable-native-access=ALL-UNNAMED --illegal-native-access=deny -Djava.awt.headless=true -XX:+UseSerialGC
    -Dlog4j.provider=org.apache.logging.log4j.simple.internal.SimpleProvider)

figure() {
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$OUT/figures.tsv"
}

skipped() {
    echo "$1"
    exit 77
}

java() {
    "$BUNDLE/runtime/bin/java" "$@"
}

muonium() {
    java -Xmx2g "${JAVA_OPTIONS[@]}" -cp "$BUNDLE/lib/*" dev.muonium.cli.Main "$@"
}

# One line: "available" and which, or why there is none.
part_ask() {
    local report
    report=$(muonium doctor) || true
    printf '%s\n' "$report" >&2
    printf '%s\n' "$report" | sed -n 's/^CUDA device *//p' | head -n 1
}

part_doctor() {
    muonium doctor
    local code=$?
    # The CPU device cannot be used here, because the bundle brings no oneDNN: that is code 3, and as it should be.
    [ $code = 0 ] || [ $code = 3 ] || return $code
    nvidia-smi 2>/dev/null | sed -n 1,16p
    echo "see the log"
}

bench_program() {
    [ -x "$BUNDLE/bin/cuda_bench" ] || skipped "this bundle brings no cuda_bench"
}

part_smoke() {
    bench_program
    "$BUNDLE/bin/cuda_bench" --check
}

part_contract() {
    local reports=$OUT/logs/contract code summary
    # Not the two that train on the CPU as well: that takes oneDNN, which the bundle does not have.
    java -Xmx2g "${JAVA_OPTIONS[@]}" -cp "$BUNDLE/lib/*:$BUNDLE/test/*:$BUNDLE/recordings" org.junit.platform.console.ConsoleLauncher execute \
        --scan-class-path="$BUNDLE/test/muonium-tests.jar" --include-tag=cuda \
        --exclude-methodname='.*[.]TrainerCudaTest#(fp32LearnsAsOnTheCpu|bf16WithMasterWeightsLearnsAsFp32)' \
        --fail-if-no-tests --details=testfeed --disable-banner --disable-ansi-colors --reports-dir="$reports"
    code=$?
    summary=$(sum_of_reports "$reports")
    echo "$summary"
    figure contract "$(echo "$summary" | cut -d' ' -f1)" tests
    return $code
}

# The tests of the console's XML reports, counted.
sum_of_reports() {
    cat "$1"/TEST-*.xml 2>/dev/null | tr '\n' ' ' | grep -o '<testsuite [^>]*>' | awk '
        function value(name) {
            return match($0, " " name "=\"[0-9]+\"") ? substr($0, RSTART + length(name) + 3, RLENGTH) + 0 : 0
        }
        { tests += value("tests"); failed += value("failures") + value("errors"); skipped += value("skipped") }
        END { printf "%d tests, %d failed, %d skipped\n", tests, failed, skipped }'
}

part_conform() {
    muonium conform --device cuda "$BUNDLE/recordings/golden"
}

sanitizer() {
    local tool=$1 program
    bench_program
    for program in "$(command -v compute-sanitizer)" "${CUDA_HOME:-/usr/local/cuda}/bin/compute-sanitizer" \
        /usr/local/cuda/compute-sanitizer/compute-sanitizer /opt/nvidia/*/*/compute-sanitizer/compute-sanitizer; do
        if [ -n "$program" ] && [ -x "$program" ]; then
            "$program" --tool "$tool" --error-exitcode 9 "$BUNDLE/bin/cuda_bench" --check --quick
            return
        fi
    done
    skipped "compute-sanitizer is not on this machine"
}

part_memcheck() {
    sanitizer memcheck
}

part_racecheck() {
    sanitizer racecheck
}

part_bench() {
    bench_program
    "$BUNDLE/bin/cuda_bench" ${QUICK:+--quick} | tee "$OUT/logs/cuda_bench.txt"
    local code=${PIPESTATUS[0]}
    # Its figures are lines of: figure NAME VALUE UNIT.
    awk -v OFS='\t' '$1 == "figure" { print "bench." $2, $3, $4 }' "$OUT/logs/cuda_bench.txt" >>"$OUT/figures.tsv"
    return "$code"
}

# jmh SET STATE [OPTION...]: a benchmark of a whole step, its time and the bytes of its state as figures.
jmh() {
    local set=$1 state=$2 file
    shift 2
    file=$OUT/logs/jmh-$set-$state.csv
    java -Xmx2g "${JAVA_OPTIONS[@]}" --sun-misc-unsafe-memory-access=allow -Djmh.ignoreLock=true \
        -cp "$BUNDLE/lib/*:$BUNDLE/jmh/*" \
        org.openjdk.jmh.Main OptimizerStep -prof dev.muonium.jmh.Rates -p device=cuda -p threads=1 -p optimizer=muon \
        -p "set=$set" -p "state=$state" -foe true -rf csv -rff "$file" "$@" || return 1
    awk -v OFS='\t' -v name="step.$set.$state" '
        { gsub(/"/, "") }
        { n = split($0, field, ",") }
        NR == 1 { for (i = 1; i <= n; i++) column[field[i]] = i; next }
        field[column["Benchmark"]] ~ /\.step$/ { print name ".ms", field[column["Score"]], "ms" }
        field[column["Benchmark"]] ~ /:host$/ { print name ".host", field[column["Score"]], "%" }
        field[column["Benchmark"]] ~ /:state$/ { print name ".state", field[column["Score"]], "bytes" }' "$file" >>"$OUT/figures.tsv"
}

part_step() {
    local set state code=0
    if [ -n "$QUICK" ]; then
        jmh gpt2-small INT8 -f 1 -wi 1 -w 100ms -i 1 -r 500ms
        return
    fi
    # What the targets are about comes first: time that runs out takes from the end.
    for state in INT8 FP32; do
        for set in gpt2-small d20-e3-full 24x2048; do
            jmh "$set" "$state" -f 1 -wi 2 -w 1s -i 3 -r 2s || code=1 # a set that fails does not keep the others from being measured
        done
    done
    echo "steps of three sets, with INT8 and FP32 state"
    return $code
}

part_peer() {
    local python found=
    for python in "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python3}" "$(command -v python3)" "$(command -v python)"; do
        if [ -n "$python" ] && [ -x "$python" ]; then
            found=$python
            "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' 2>/dev/null && break
        fi
    done
    [ -n "$found" ] || skipped "there is no Python here"
    # PyTorch brings CUDA's libraries itself.
    LD_LIBRARY_PATH=${DRIVER_LIBRARY_PATH:-} "$found" "$BUNDLE/peer.py" --budget 140 ${QUICK:+--quick --sets gpt2-small} | tee "$OUT/logs/peer.jsonl"
    awk -v OFS='\t' '
        function text(key) {
            return match($0, "\"" key "\": \"[^\"]*\"") ? substr($0, RSTART + length(key) + 5, RLENGTH - length(key) - 6) : ""
        }
        function number(key) {
            return match($0, "\"" key "\": [0-9.eE+-]+") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 4) : ""
        }
        number("ms") == "" { next }
        text("name") == "copy" { print "peer.copy", number("gb_per_s"), "GB/s"; next }
        {
            name = "peer." text("set") "." text("mode") "." text("weights")
            print name ".ms", number("ms"), "ms"
            print name ".state", number("state_bytes"), "bytes"
        }' "$OUT/logs/peer.jsonl" >>"$OUT/figures.tsv"
    if ! grep -q '"ms"' "$OUT/logs/peer.jsonl"; then
        skipped "$(sed -n 's/.*"reason": "\(.*\)".*/\1/p' "$OUT/logs/peer.jsonl" | head -n 1)"
    fi
    echo "$(grep -c '"ms"' "$OUT/logs/peer.jsonl") measured, $(grep -c '"reason"' "$OUT/logs/peer.jsonl") not (see peer.jsonl)"
}

part_compare() {
    local log=$OUT/logs/compare.txt
    muonium compare --preset test-8bit --device cuda --steps "$([ -n "$QUICK" ] && echo 20 || echo 200)" --data "$BUNDLE/text.txt" \
        --out "$OUT/compare" | tee "$log"
    local code=${PIPESTATUS[0]}
    sed -n 's/^held-out losses differ by \([-0-9.]*\) %.*/compare.loss\t\1\t%/p' "$log" >>"$OUT/figures.tsv"
    return "$code"
}

part_medium-3b() {
    local log=$OUT/logs/medium-3b.txt
    muonium train --preset medium-3b --device cuda --steps 1 --set eval_batches=1 --set sample_tokens=0 \
        --data "$BUNDLE/text.txt" | tee "$log"
    local code=${PIPESTATUS[0]}
    # MiB as the command prints them.
    awk -v OFS='\t' '
        function mebibytes(before,    text) {
            if (!match($0, "[0-9.]+ MiB " before)) return ""
            text = substr($0, RSTART, RLENGTH)
            sub(/ .*/, "", text)
            return sprintf("%.0f", text * 1048576)
        }
        /^memory: / {
            print "medium-3b.ledger", mebibytes("at the peak"), "bytes"
            print "medium-3b.state", mebibytes("optimizer state"), "bytes"
            print "medium-3b.workspace", mebibytes("optimizer workspace"), "bytes"
        }
        /^GPU by cudaMemGetInfo: / { print "medium-3b.peak", mebibytes("in all"), "bytes" }' "$log" >>"$OUT/figures.tsv"
    return "$code"
}
