package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.device.Kernels;
import dev.muonium.device.Task;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.ortho.Iteration;
import dev.muonium.ortho.NewtonSchulz;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Muon over all its matrices: the momentum pass writes u to the workspace and adds up its norm, the Newton-Schulz iteration makes O
 * of it, the weights are updated. What runs where is a {@link MuonPlan}'s business and does not show in the result.
 */
final class MuonPass implements AutoCloseable {
    private final Device device;
    private final Matrix[] shared;
    private final Matrix[] laned;
    private final int lanes;
    private final @Nullable Tensor workspace;
    private final @Nullable StateFile file;

    private final AtomicInteger nextLaned = new AtomicInteger();
    private final AtomicInteger fallbacks = new AtomicInteger();
    private final Task laneTask = this::lane;
    private final Task momentumTask = this::sharedMomentum;
    private final Task stageTask = this::sharedStage;
    private final Task sumTask = this::sharedSum;
    private final Task updateTask = this::sharedUpdate;

    private float gradientScale;
    private int currentShared;
    private boolean fallenBack;
    private int currentStage;

    /** A matrix with its iteration in each of the workspaces that it may get, and the sums of its chunks. */
    private static final class Matrix {
        final MuonSlot slot;
        final Iteration[] iterations;
        final double[] partial;

        Matrix(MuonSlot slot, Iteration[] iterations) {
            this.slot = slot;
            this.iterations = iterations;
            this.partial = new double[Chunks.count(slot.elements())];
        }

        double sum() {
            double sum = 0;
            for (double part : partial) {
                sum += part;
            }
            return sum;
        }

        double norm() {
            return Math.sqrt(sum());
        }
    }

    /** What decides an iteration; matrices with the same key share theirs. */
    private record Key(NewtonSchulz spec, long rows, long cols) {}

    /**
     * @param cap the most bytes of workspace, unless one matrix alone needs more
     * @param file where the state lies, or null for the device's memory
     */
    MuonPass(Device device, List<MuonSlot> slots, long cap, @Nullable StateFile file) {
        this.device = device;
        this.file = file;
        List<MuonPlan.Item> items = new ArrayList<>();
        for (int i = 0; i < slots.size(); i++) {
            MuonSlot slot = slots.get(i);
            items.add(new MuonPlan.Item(
                    i,
                    cost(slot.rows, slot.cols),
                    Iteration.workspaceBytes(slot.newtonSchulz, device, slot.rows, slot.cols)));
        }
        MuonPlan plan = MuonPlan.of(items, device.workers().count(), cap);
        this.lanes = plan.lanes();
        this.workspace = plan.workspaceBytes() == 0
                ? null
                : device.allocate(
                        Purpose.OPTIMIZER_WORKSPACE,
                        "Muon's workspace",
                        ElementType.U8,
                        Shape.of(plan.workspaceBytes()));
        try {
            this.shared = bind(slots, plan.shared(), 1, plan.workspaceBytes());
            this.laned = bind(slots, plan.laned(), plan.lanes(), plan.laneBytes());
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /** The work of a matrix's iteration, in any unit. */
    static double cost(long rows, long cols) {
        double small = Math.min(rows, cols);
        return small * small * (rows + cols);
    }

    private Matrix[] bind(List<MuonSlot> slots, List<MuonPlan.Item> items, int places, long placeBytes) {
        Map<Key, Iteration[]> known = new HashMap<>();
        Matrix[] matrices = new Matrix[items.size()];
        for (int i = 0; i < matrices.length; i++) {
            MuonSlot slot = slots.get(items.get(i).index());
            Key key = new Key(slot.newtonSchulz, slot.rows, slot.cols);
            Iteration[] iterations = known.computeIfAbsent(key, wanted -> bind(wanted, places, placeBytes));
            matrices[i] = new Matrix(slot, iterations);
        }
        return matrices;
    }

    private Iteration[] bind(Key key, int places, long placeBytes) {
        MemorySegment memory = workspace == null ? MemorySegment.NULL : workspace.segment();
        Iteration[] iterations = new Iteration[places];
        for (int place = 0; place < places; place++) {
            iterations[place] = Iteration.bind(
                    key.spec(), device, key.rows(), key.cols(), memory.asSlice(place * placeBytes, placeBytes));
        }
        return iterations;
    }

    long workspaceBytes() {
        return workspace == null ? 0 : workspace.byteSize();
    }

    /**
     * All slots were prepared.
     *
     * @return how many matrices needed the iteration to fall back to
     */
    int run(float newGradientScale, long seed) {
        gradientScale = newGradientScale;
        fallbacks.set(0);
        for (int i = 0; i < shared.length; i++) {
            shared[i].slot.keyRounding(seed);
            runShared(i);
        }
        for (Matrix matrix : laned) {
            matrix.slot.keyRounding(seed);
        }
        nextLaned.set(0);
        device.workers().run(lanes, laneTask);
        return fallbacks.get();
    }

    private void runShared(int index) {
        Matrix matrix = shared[index];
        Iteration iteration = matrix.iterations[0];
        currentShared = index;
        fallenBack = false;
        device.workers().run(matrix.partial.length, momentumTask);
        stateUsed(matrix, index + 1 < shared.length ? shared[index + 1] : laned.length > 0 ? laned[0] : null);
        runStages(iteration, matrix.norm());
        if (iteration.hasFallback()) {
            device.workers().run(matrix.partial.length, sumTask);
            if (iteration.isWrong(matrix.sum())) {
                fallenBack = true;
                runStages(sharedIteration(), refill(matrix, sharedIteration()));
            }
        }
        device.workers().run(rowTasks(matrix.slot), updateTask);
    }

    private void runStages(Iteration iteration, double norm) {
        iteration.begin(norm);
        for (int stage = 0; stage < iteration.stages(); stage++) {
            currentStage = stage;
            device.workers().run(iteration.tasks(stage), stageTask);
        }
    }

    private void sharedMomentum(int chunk, int worker) {
        momentum(shared[currentShared], 0, chunk);
    }

    private void sharedStage(int task, int worker) {
        sharedIteration().run(currentStage, task, worker);
    }

    private Iteration sharedIteration() {
        Iteration iteration = shared[currentShared].iterations[0];
        return fallenBack ? iteration.fallback() : iteration;
    }

    private void sharedSum(int chunk, int worker) {
        Matrix matrix = shared[currentShared];
        long begin = chunk * Chunks.SIZE;
        matrix.partial[chunk] =
                sumOfSquares(sharedIteration(), begin, Math.min(begin + Chunks.SIZE, matrix.slot.elements()));
    }

    private double sumOfSquares(Iteration iteration, long begin, long end) {
        return device.kernels().sumSquares(iteration.output(), iteration.precision(), begin, end);
    }

    private void sharedUpdate(int task, int worker) {
        MuonSlot slot = shared[currentShared].slot;
        long begin = task * rowsPerTask(slot);
        update(shared[currentShared], sharedIteration(), begin, Math.min(begin + rowsPerTask(slot), slot.rows));
    }

    private static long rowsPerTask(MuonSlot slot) {
        return Math.max(1, Chunks.SIZE / slot.cols);
    }

    private static int rowTasks(MuonSlot slot) {
        long rows = rowsPerTask(slot);
        return Math.toIntExact((slot.rows + rows - 1) / rows);
    }

    /** A lane takes the next matrix until none is left. */
    private void lane(int lane, int worker) {
        for (int i = nextLaned.getAndIncrement(); i < laned.length; i = nextLaned.getAndIncrement()) {
            Matrix matrix = laned[i];
            Iteration iteration = matrix.iterations[lane];
            for (int chunk = 0; chunk < matrix.partial.length; chunk++) {
                momentum(matrix, lane, chunk);
            }
            stateUsed(matrix, i + lanes < laned.length ? laned[i + lanes] : null);
            iteration.begin(matrix.norm());
            iteration.run(worker);
            if (iteration.hasFallback() && iteration.isWrong(sumOfSquares(iteration, 0, matrix.slot.elements()))) {
                iteration = iteration.fallback();
                iteration.begin(refill(matrix, iteration));
                iteration.run(worker);
            }
            update(matrix, iteration, 0, matrix.slot.rows);
        }
    }

    /** The rest of a matrix's step needs its momentum no more: time to write it, and to read that of the next one. */
    private void stateUsed(Matrix matrix, @Nullable Matrix next) {
        if (file != null) {
            file.writeBehind(matrix.slot.state(), 0, matrix.slot.elements());
            if (next != null) {
                file.readAhead(next.slot.state(), 0, next.slot.elements());
            }
        }
    }

    private void momentum(Matrix matrix, int place, int chunk) {
        MuonSlot slot = matrix.slot;
        Iteration iteration = matrix.iterations[place];
        long begin = chunk * Chunks.SIZE;
        matrix.partial[chunk] = device.kernels()
                .muonMomentum(
                        slot.momentum.format(),
                        slot.momentum.block(),
                        slot.parameter.gradient(),
                        slot.parameter.gradientType(),
                        gradientScale,
                        slot.momentum.codes(),
                        slot.momentum.scales(),
                        iteration.input(),
                        iteration.precision(),
                        slot.group.momentum(),
                        slot.spec.nesterov(),
                        begin,
                        Math.min(begin + Chunks.SIZE, slot.elements()));
    }

    /**
     * u once more, on the calling thread: it was overwritten, and the momentum is that of this step already. Made from the momentum as it
     * is stored.
     *
     * @return its norm
     */
    private double refill(Matrix matrix, Iteration iteration) {
        fallbacks.incrementAndGet();
        MuonSlot slot = matrix.slot;
        Kernels kernels = device.kernels();
        MemorySegment u = iteration.input();
        ElementType type = iteration.precision();
        if (slot.momentum.format() == BlockFormat.F32) {
            kernels.scale(
                    1, slot.momentum.codes(), ElementType.F32, slot.cols, u, type, slot.cols, slot.cols, 0, slot.rows);
        } else {
            kernels.dequantize(
                    slot.momentum.format(),
                    slot.momentum.block(),
                    slot.momentum.codes(),
                    slot.momentum.scales(),
                    u,
                    type,
                    0,
                    slot.elements());
        }
        if (slot.spec.nesterov()) {
            double beta = slot.group.momentum();
            kernels.axpby(
                    (float) ((1 - beta) * gradientScale),
                    slot.parameter.gradient(),
                    slot.parameter.gradientType(),
                    slot.cols,
                    (float) beta,
                    u,
                    type,
                    slot.cols,
                    u,
                    type,
                    slot.cols,
                    slot.cols,
                    0,
                    slot.rows);
        }
        return Math.sqrt(kernels.sumSquares(u, type, 0, slot.elements()));
    }

    private void update(Matrix matrix, Iteration iteration, long rowBegin, long rowEnd) {
        MuonSlot slot = matrix.slot;
        device.kernels()
                .muonUpdate(
                        slot.parameter.weights(),
                        slot.parameter.weightType(),
                        slot.cols,
                        slot.master(),
                        iteration.output(),
                        iteration.precision(),
                        slot.cols,
                        slot.decay(),
                        slot.rate(),
                        slot.rounding(),
                        slot.cols,
                        rowBegin,
                        rowEnd);
    }

    @Override
    public void close() {
        if (workspace != null) {
            workspace.close();
        }
    }
}
