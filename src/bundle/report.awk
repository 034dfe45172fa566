# usage: awk -v json=FILE -f report.awk about.tsv parts.tsv figures.tsv
# Prints the table of a run (what, measured, target, ratio, verdict) and writes the same with all figures as JSON. A figure short
# of its target is reported as it is.

BEGIN {
    FS = "\t"
    GB = 1e9
}

FILENAME ~ /about.tsv$/ { about_key[++abouts] = $1; about[$1] = $2; next }
FILENAME ~ /parts.tsv$/ { part[++parts] = $1; status[$1] = $2; seconds[$1] = $3; reason[$1] = $4; next }
{
    if (!($1 in value)) {
        figure[++figures] = $1
    }
    value[$1] = $2
    unit[$1] = $3
}

function row(what, measured, target, ratio, verdict) {
    rows++
    row_what[rows] = what; row_measured[rows] = measured; row_target[rows] = target
    row_ratio[rows] = ratio == "" ? "" : sprintf("%.2f", ratio); row_verdict[rows] = verdict
}

function has(name) {
    return name in value
}

function bytes(n) {
    return n >= GB ? sprintf("%.2f GB", n / GB) : sprintf("%.1f MB", n / 1e6)
}

# A whole step of a set of matrices: INT8 state against the peer's FP32 state, both with FP32 weights.
function step_rows(set,    ours, ms, peer) {
    ours = "step." set ".INT8"
    if (!has(ours ".ms")) {
        return
    }
    ms = value[ours ".ms"]
    peer = "peer." set ".eager.float32"
    if (has(peer ".ms")) {
        row("INT8 Muon step, " set, sprintf("%.2f ms", ms), sprintf("<= %.2f ms (torch eager %.2f / 1.5)", value[peer ".ms"] / 1.5, value[peer ".ms"]), \
            value[peer ".ms"] / ms, value[peer ".ms"] / ms >= 1.5 ? "ok" : "short")
    } else {
        row("INT8 Muon step, " set, sprintf("%.2f ms", ms), "1.5 x torch.optim.Muon", "", "no peer")
    }
    if (has("peer." set ".compile.float32.ms")) {
        row("  against torch.compile", sprintf("%.2f ms", ms), sprintf("torch %.2f ms", value["peer." set ".compile.float32.ms"]), \
            value["peer." set ".compile.float32.ms"] / ms, "")
    }
    if (has("step." set ".FP32.ms")) {
        row("  our own FP32 state", sprintf("%.2f ms", value["step." set ".FP32.ms"]), "", value["step." set ".FP32.ms"] / ms, "")
    }
    if (has(ours ".host")) {
        row("  share in which the host did not wait", sprintf("%.1f %%", value[ours ".host"]), "", "", "")
    }
    if (has(ours ".state") && has("step." set ".FP32.state")) {
        row("  bytes of state", bytes(value[ours ".state"]), sprintf("0.258 x FP32's %s", bytes(value["step." set ".FP32.state"])), \
            value[ours ".state"] / value["step." set ".FP32.state"], \
            value[ours ".state"] / value["step." set ".FP32.state"] <= 0.2585 ? "ok" : "short")
    }
}

# A JSON string; by characters, because no two awks agree on backslashes in what gsub puts in.
function quoted(text,    i, c, result) {
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        result = result (c == "\"" || c == "\\" ? "\\" c : c < " " ? " " : c)
    }
    return "\"" result "\""
}

function number(text) {
    return text ~ /^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$/ ? text : quoted(text)
}

END {
    for (i = 1; i <= parts; i++) {
        name = part[i]
        verdict = status[name] == "ok" ? "ok" : status[name]
        row(name, reason[name], "", "", verdict)
    }
    # Every pass over memory of the optimizers; the target is that of Muon's fused INT8 momentum.
    for (i = 1; i <= figures; i++) {
        name = figure[i]
        if (name !~ /^bench\..*\.gbps$/ || !has("bench.copy.gbps")) {
            continue
        }
        ratio = value[name] / value["bench.copy.gbps"]
        what = substr(name, 7, length(name) - 11)
        if (what ~ /^momentum\..*int8/) {
            row(what, sprintf("%.0f GB/s", value[name]), sprintf(">= 85 %% of the copy's %.0f GB/s", value["bench.copy.gbps"]), \
                ratio, ratio >= 0.85 ? "ok" : "short")
        } else {
            row(what, sprintf("%.0f GB/s", value[name]), "", ratio, "")
        }
    }
    if (has("peer.copy")) {
        row("copy, torch", sprintf("%.0f GB/s", value["peer.copy"]), "", has("bench.copy.gbps") ? value["bench.copy.gbps"] / value["peer.copy"] : "", "")
    }
    for (i = 1; i <= figures; i++) {
        if (figure[i] ~ /^bench\..*(tflops|faster_than_cublas)$/) {
            row(substr(figure[i], 7), value[figure[i]] " " unit[figure[i]], "", "", "")
        }
    }
    step_rows("gpt2-small")
    step_rows("d20-e3-full")
    step_rows("24x2048")
    if (has("compare.loss")) {
        row("test-8bit: held-out loss, INT8 to FP32", sprintf("%+.3f %%", value["compare.loss"]), "within 1 %", "", \
            value["compare.loss"] <= 1 && value["compare.loss"] >= -1 ? "ok" : "short")
    }
    if (has("medium-3b.peak")) {
        row("medium-3b: peak of the GPU's memory", bytes(value["medium-3b.peak"]), "<= 24 GB", value["medium-3b.peak"] / (24 * GB), \
            value["medium-3b.peak"] <= 24 * GB ? "ok" : "short")
        row("  of it the optimizer's state", bytes(value["medium-3b.state"]), "", "", "")
        row("  of it its workspace", bytes(value["medium-3b.workspace"]), "", "", "")
    }

    print "| what | measured | target | ratio | |"
    print "|---|---|---|---|---|"
    for (i = 1; i <= rows; i++) {
        printf "| %s | %s | %s | %s | %s |\n", row_what[i], row_measured[i], row_target[i], row_ratio[i], row_verdict[i]
    }

    printf "{\n  \"about\": {" >json
    for (i = 1; i <= abouts; i++) {
        printf "%s\n    %s: %s", i == 1 ? "" : ",", quoted(about_key[i]), quoted(about[about_key[i]]) >json
    }
    printf "\n  },\n  \"parts\": [" >json
    for (i = 1; i <= parts; i++) {
        name = part[i]
        printf "%s\n    {\"name\": %s, \"status\": %s, \"seconds\": %s, \"said\": %s}", i == 1 ? "" : ",", quoted(name), \
            quoted(tolower(status[name])), number(seconds[name]), quoted(reason[name]) >json
    }
    printf "\n  ],\n  \"figures\": [" >json
    for (i = 1; i <= figures; i++) {
        name = figure[i]
        printf "%s\n    {\"name\": %s, \"value\": %s, \"unit\": %s}", i == 1 ? "" : ",", quoted(name), number(value[name]), \
            quoted(unit[name]) >json
    }
    printf "\n  ],\n  \"table\": [" >json
    for (i = 1; i <= rows; i++) {
        printf "%s\n    {\"what\": %s, \"measured\": %s, \"target\": %s, \"ratio\": %s, \"verdict\": %s}", i == 1 ? "" : ",", \
            quoted(row_what[i]), quoted(row_measured[i]), quoted(row_target[i]), row_ratio[i] == "" ? "null" : row_ratio[i], \
            quoted(row_verdict[i]) >json
    }
    printf "\n  ]\n}\n" >json
}
