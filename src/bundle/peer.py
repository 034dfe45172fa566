#!/usr/bin/env python3
"""Times torch.optim.Muon on this machine's GPU, on the sets of matrices that Muonium's benchmarks use, and a copy.

    peer.py [--budget SECONDS] [--sets NAME,...] [--quick]

Prints one JSON object per line: {"name", "set", "ms", "parameters", "state_bytes", "torch", "device", ...}, times by CUDA
events, the median of at least 20 steps after warming up. What cannot be measured is a line with a "reason" in place of a time.
Each set runs in a process of its own, so that running out of memory or of time costs that set alone. Exits with 0
where there is no PyTorch or no GPU: that is an answer as well.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import time

# Rows and columns of the matrices that Muon gets, as OptimizerStepBenchmark has them.
SETS = {
    "gpt2-small": 12 * (4 * [(768, 768)] + [(768, 3072), (3072, 768)]),
    "d20-e3-full": 24 * (4 * [(768, 768)] + 2 * [(2688, 768)] + [(768, 2688)]),
    "24x2048": 24 * (4 * [(2048, 2048)] + [(2048, 8192), (8192, 2048)]),
}
WARM_UPS = 5
REPEATS = 25


def say(**line):
    print(json.dumps(line), flush=True)


def newton_schulz(torch, update, coefficients=(3.4445, -4.7750, 2.0315), steps=5, eps=1e-7):
    """The orthogonal factor of a matrix, by the iteration of the Muon post, in bf16."""
    a, b, c = coefficients
    x = update.bfloat16()
    tall = x.size(0) > x.size(1)
    if tall:
        x = x.T
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.addmm(x, polynomial, x, beta=a)
    return x.T if tall else x


def own_muon(torch):
    """The algorithm that torch.optim.Muon documents, op by op, for a PyTorch that does not have it yet (before 2.9)."""

    class Muon(torch.optim.Optimizer):
        def __init__(self, params, lr=1e-3, weight_decay=0.1, momentum=0.95):
            super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

        @torch.no_grad()
        def step(self):
            for group in self.param_groups:
                for weights in group["params"]:
                    state = self.state[weights]
                    if not state:
                        state["momentum_buffer"] = torch.zeros_like(weights.grad)
                    buffer = state["momentum_buffer"]
                    buffer.lerp_(weights.grad, 1 - group["momentum"])
                    update = newton_schulz(torch, weights.grad.lerp(buffer, group["momentum"]))
                    rate = group["lr"] * max(1, weights.size(0) / weights.size(1)) ** 0.5
                    weights.mul_(1 - group["lr"] * group["weight_decay"])
                    weights.add_(update, alpha=-rate)

    return Muon


def make_optimizer(torch, shapes, dtype):
    generator = torch.Generator(device="cuda").manual_seed(1)
    parameters = []
    for shape in shapes:
        weights = torch.randn(shape, device="cuda", generator=generator).to(dtype)
        parameter = torch.nn.Parameter(weights)
        parameter.grad = torch.randn(shape, device="cuda", generator=generator).to(dtype)
        parameters.append(parameter)
    official = getattr(torch.optim, "Muon", None)
    kind = official or own_muon(torch)
    name = "torch.optim.Muon" if official else "own Muon, op by op (this PyTorch has no torch.optim.Muon)"
    return kind(parameters, lr=1e-3), name


def median_ms(torch, work, warm_ups, repeats):
    for _ in range(warm_ups):
        work()
    torch.cuda.synchronize()
    times = []
    for _ in range(repeats):
        begin = torch.cuda.Event(enable_timing=True)
        end = torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times), min(times), max(times)


def state_bytes(torch, optimizer):
    tensors = [value for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def about(torch):
    return {"torch": torch.__version__, "cuda": torch.version.cuda, "device": torch.cuda.get_device_name()}


def time_copy(torch, quick):
    free, _ = torch.cuda.mem_get_info()
    elements = min(1 << 30, free // 4 // 4) if not quick else 1 << 24
    source = torch.randn(elements, device="cuda")
    target = torch.empty_like(source)
    median, low, high = median_ms(torch, lambda: target.copy_(source), WARM_UPS, REPEATS)
    moved = 2 * source.numel() * source.element_size()
    say(name="copy", set=f"{source.numel() * source.element_size()} bytes", ms=median, min_ms=low, max_ms=high,
        gb_per_s=moved / median / 1e6, **about(torch))


def time_set(torch, set_name, dtype_name, compiled, quick):
    shapes = SETS[set_name]
    optimizer, name = make_optimizer(torch, shapes, getattr(torch, dtype_name))

    def step():
        optimizer.step()

    if compiled:
        step = torch.compile(step, fullgraph=False)
    began = time.monotonic()
    step()
    torch.cuda.synchronize()
    first = time.monotonic() - began
    median, low, high = median_ms(torch, step, 1 if quick else WARM_UPS, 3 if quick else REPEATS)
    say(name=f"{name}, {'torch.compile' if compiled else 'eager'}, {dtype_name} weights", set=set_name,
        mode="compile" if compiled else "eager", weights=dtype_name, ms=median, min_ms=low, max_ms=high,
        repeats=3 if quick else REPEATS, first_step_s=round(first, 2),
        parameters=sum(rows * cols for rows, cols in shapes), state_bytes=state_bytes(torch, optimizer), **about(torch))


def run_case(case, quick):
    """In a process of its own."""
    import torch

    kind, _, rest = case.partition(":")
    try:
        if kind == "copy":
            time_copy(torch, quick)
        else:
            set_name, dtype_name = rest.split("/")
            time_set(torch, set_name, dtype_name, kind == "compile", quick)
    except Exception as e:  # torch.compile fails in many ways, and each is only a line of the report
        say(name=case, reason=f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"[:400])


def cases(sets):
    yield "copy"
    # What the table needs first: a budget that runs out takes from the end.
    yield from (f"eager:{name}/float32" for name in sets)
    yield from (f"eager:{name}/bfloat16" for name in sets)
    yield from (f"compile:{name}/float32" for name in sets)


def no_gpu():
    """Why nothing can be timed here, or None."""
    if importlib.util.find_spec("torch") is None:
        return f"{sys.executable} has no PyTorch"
    probe = "import torch, sys; sys.exit(0 if torch.cuda.is_available() else 1)"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    if result.returncode == 1 and not result.stderr.strip():
        return "PyTorch sees no CUDA device"
    if result.returncode != 0:
        return "PyTorch cannot be used: " + (result.stderr.strip().splitlines() or ["no reason given"])[-1]
    return None


def run_limited(command, environment, seconds):
    """The exit code and output of a process; it and all that it started (torch.compile has workers) are ended when time is up."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def end(*_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    signal.signal(signal.SIGTERM, lambda *_: (end(), sys.exit(143)))
    try:
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        end()
        return None, process.communicate()[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=180, help="seconds for all of it")
    parser.add_argument("--sets", default=",".join(SETS), help="which sets of matrices")
    parser.add_argument("--quick", action="store_true", help="few repeats, to see that it works: no figures to quote")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        run_case(options.case, options.quick)
        return 0
    unknown = [name for name in options.sets.split(",") if name not in SETS]
    if unknown:
        parser.error(f"there is no set {', '.join(unknown)}; use {', '.join(SETS)}")
    reason = no_gpu()
    if reason:
        say(name="peer", reason=reason)
        return 0
    deadline = time.monotonic() + options.budget
    # A preset kernel type would slow the host's side of one library down and not the other's.
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
    for case in cases(options.sets.split(",")):
        left = deadline - time.monotonic()
        if left < 5:
            say(name=case, reason="skipped: no time left of the budget")
            continue
        command = [sys.executable, os.path.abspath(__file__), "--case", case] + ["--quick"] * options.quick
        code, output = run_limited(command, environment, left)
        sys.stdout.write(output)
        sys.stdout.flush()
        if code is None:
            say(name=case, reason=f"not done in the {left:.0f} s that were left")
        elif code != 0:
            say(name=case, reason=f"ended with {code}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
