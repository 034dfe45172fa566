package dev.muonium.plan;

import dev.muonium.lowrank.LowRankMemory;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.OptimizerMemory;
import dev.muonium.optim.StatePlacement;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Computes what a run will hold. What the model itself asks for (weights, gradients, activations, data) is the caller's to say, best by running its
 * own allocation on a {@link dev.muonium.memory.CountingAllocator}; what optimizers, projections and checkpoints ask for is computed here:
 *
 * <pre>{@code
 * state      n·1 + ceil(n / 128)·4 bytes for each 8-bit array of n values, n·4 for FP32; Muon has one, AdamW two
 * GaLore     P: smaller side × r, R and D: r × larger side, FP32 each; the state is that of R; a workspace of the largest matrix
 * workspace  of Newton-Schulz: X twice and 2 or 4 squares of the smaller side, per matrix that is worked on at the same time
 * places     on a GPU whose state the host keeps: what is brought and sent back at a time, 128 MiB at most; twice that with a file
 * copy       of weights and all that optimizers keep, if checkpoints are written in the background
 * }</pre>
 */
public final class MemoryPlanner {
    /** Of {@code mu_adamw_params}, per parameter, on a CPU. */
    private static final long ADAMW_PARAMETERS = 64;

    /** Of oneDNN's products, per worker: between 425 kB and 740 kB for all shapes that were measured. */
    private static final long SCRATCHPAD = 600 << 10;

    private final PlannedDevice device;
    private final List<PlannedParameter> parameters;
    private final Map<Purpose, Long> bytes = new EnumMap<>(Purpose.class);
    private final Map<String, Long> states = new LinkedHashMap<>();
    private long copied;
    private long passing;

    private MemoryPlanner(PlannedDevice device, List<PlannedParameter> parameters, Map<Purpose, Long> model) {
        this.device = device;
        this.parameters = parameters;
        this.bytes.putAll(model);
    }

    /**
     * Plans a run.
     *
     * @param model what the model and its data ask for, without projected gradients
     * @param masterWeights whether an FP32 copy of each weight is kept
     * @param placement where optimizer state lies
     * @param checkpointCopy whether checkpoints are written in the background, from a copy
     */
    public static MemoryPlan plan(
            PlannedDevice device,
            List<PlannedParameter> parameters,
            Map<Purpose, Long> model,
            boolean masterWeights,
            StatePlacement placement,
            boolean checkpointCopy) {
        MemoryPlanner planner = new MemoryPlanner(device, parameters, model);
        boolean inFile = placement instanceof StatePlacement.InFile;
        boolean offloaded = !(placement instanceof StatePlacement.OnDevice);
        planner.state(offloaded, inFile, masterWeights);
        planner.workspace();
        if (offloaded && device.cuda()) {
            planner.add(Purpose.OPTIMIZER_WORKSPACE, planner.places() * (inFile ? 2 : 1));
        }
        if (!device.cuda()) {
            planner.add(Purpose.WORKSPACE, device.workers() * SCRATCHPAD);
        }
        if (checkpointCopy) {
            planner.add(Purpose.CHECKPOINT, device.aligned(planner.copied + model.getOrDefault(Purpose.WEIGHTS, 0L)));
        }
        return new MemoryPlan(planner.bytes, planner.states, planner.passing);
    }

    private void add(Purpose purpose, long more) {
        bytes.merge(purpose, more, Long::sum);
    }

    /** What state passes through on its way to a GPU and back. */
    private long places() {
        List<OptimizerMemory.Planned> planned = parameters.stream()
                .map(parameter -> new OptimizerMemory.Planned(
                        parameter.group(), parameter.optimized(), parameter.orthogonalized()))
                .toList();
        return OptimizerMemory.stagingBytes(planned, device.iterates(), Optimizer.Builder.DEFAULT_WORKSPACE_CAP);
    }

    private void state(boolean offloaded, boolean inFile, boolean masterWeights) {
        Purpose purpose = offloaded ? Purpose.OFFLOADED_STATE : Purpose.OPTIMIZER_STATE;
        for (PlannedParameter parameter : parameters) {
            long elements = parameter.optimized().elements();
            int block = OptimizerMemory.stateBlock(parameter.group());
            for (BlockFormat format : OptimizerMemory.stateFormats(parameter.group())) {
                long exact = format.bytes(elements, block);
                long codes = elements * format.codeType().byteSize();
                long held = held(codes, inFile) + (exact > codes ? held(exact - codes, inFile) : 0);
                add(purpose, held);
                states.merge(parameter.group().optimizer(), exact, Long::sum);
                copied += exact;
            }
            if (masterWeights) {
                long master = Float.BYTES * parameter.shape().elements();
                add(Purpose.MASTER_WEIGHTS, device.aligned(master));
                copied += master;
            }
            if (parameter.rank() > 0) {
                projection(parameter);
            }
            if (parameter.group() instanceof AdamW && !device.cuda()) {
                add(Purpose.OPTIMIZER_WORKSPACE, ADAMW_PARAMETERS);
            }
        }
    }

    private long held(long asked, boolean inFile) {
        long page = 4096;
        return inFile ? (asked + page - 1) / page * page : device.aligned(asked);
    }

    private void projection(PlannedParameter parameter) {
        long p = Float.BYTES * parameter.smallerSide() * parameter.rank();
        long r = Float.BYTES * parameter.optimized().elements();
        add(Purpose.OPTIMIZER_STATE, device.aligned(p));
        add(Purpose.GRADIENTS, device.aligned(r));
        add(Purpose.OPTIMIZER_WORKSPACE, device.aligned(r));
        copied += p;
        long refresh = 0;
        for (long elements : LowRankMemory.refreshElements(parameter.shape(), parameter.rank())) {
            refresh += device.aligned(Float.BYTES * elements);
        }
        passing = Math.max(passing, refresh);
    }

    private void workspace() {
        long largestProjected = 0;
        Map<Muon, List<List<Shape>>> matrices = new LinkedHashMap<>();
        for (PlannedParameter parameter : parameters) {
            if (parameter.rank() > 0) {
                largestProjected = Math.max(
                        largestProjected, LowRankMemory.workspaceElements(parameter.shape(), parameter.rank()));
            }
            if (parameter.group() instanceof Muon muon) {
                matrices.computeIfAbsent(muon, group -> new ArrayList<>()).add(parameter.orthogonalized());
            }
        }
        add(Purpose.OPTIMIZER_WORKSPACE, device.aligned(Float.BYTES * largestProjected));
        matrices.forEach((muon, parameterMatrices) -> add(
                Purpose.OPTIMIZER_WORKSPACE,
                device.aligned(device.cuda() ? batched(muon, parameterMatrices) : tasks(muon, parameterMatrices))));
    }

    private long tasks(Muon muon, List<List<Shape>> parameterMatrices) {
        return OptimizerMemory.workspaceBytes(
                muon, parameterMatrices, device.iterates(), device.workers(), Optimizer.Builder.DEFAULT_WORKSPACE_CAP);
    }

    /** As many matrices of a shape as the cap allows are worked on together. */
    private long batched(Muon muon, List<List<Shape>> parameterMatrices) {
        Map<Shape, Integer> counts = new LinkedHashMap<>();
        parameterMatrices.stream().flatMap(List::stream).forEach(shape -> counts.merge(shape, 1, Integer::sum));
        long most = 0;
        for (Map.Entry<Shape, Integer> entry : counts.entrySet()) {
            Shape shape = entry.getKey();
            ElementType iterates = device.iterates();
            long one = OptimizerMemory.workspaceBytesOnGpu(muon, shape, iterates);
            long fitting = Math.clamp(Optimizer.Builder.DEFAULT_WORKSPACE_CAP / one, 1, entry.getValue());
            long batches = (entry.getValue() + fitting - 1) / fitting;
            most = Math.max(most, one * ((entry.getValue() + batches - 1) / batches));
        }
        return most + OptimizerMemory.borderBytes(muon, parameterMatrices);
    }
}
