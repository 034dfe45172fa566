package dev.muonium.lowrank;

import dev.muonium.device.Device;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterGroup;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StepReport;
import dev.muonium.optim.WeightRounding;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * GaLore 2 (Zhao et al. 2403.03507; Su et al. 2504.20437): a matrix {@code W} of {@code m × n} is trained in the space of its gradient's leading {@code r}
 * singular vectors. With {@code P} of {@code m × r}, {@code m ≤ n},
 *
 * <pre>{@code
 * R = PᵀG          accumulated over micro-batches; G itself is needed only while this is computed
 * N = what the optimizer makes of R: Muon or AdamW, FP32 or 8 bits
 * W ← (1 - lr·λ)·W - lr·α·P·N
 * }</pre>
 *
 * and the same from the right where {@code m > n}. The gradients and the optimizer's state are {@code r/m} of what they would be; P is {@code m × r} FP32.
 *
 * <pre>{@code
 * LowRankOptimizer lowRank = new LowRankOptimizer(device, optimizer, GaLore.ofRank(64), WeightRounding.STOCHASTIC);
 * lowRank.add(weights, "matrices");
 * for (…) {
 *     lowRank.zero();
 *     for (each micro-batch) {
 *         lowRank.accumulate("blocks.0.attn.q", fullGradient, ElementType.F32); // as soon as backward has it; then it may go
 *     }
 *     StepReport report = lowRank.step();
 * }
 * }</pre>
 *
 * <p>It is built on an {@link Optimizer} of the caller's, which may have other parameters as well: each matrix is a parameter there whose gradient
 * is R. So the global norm is clipped, and steps are left out, by what was accumulated in rank space.
 *
 * <p><b>Projections</b> are made of the first micro-batch of a step, and looked at again every {@code refreshInterval} steps: a new one is taken where the
 * subspace has turned, and the optimizer's state is carried over: momentum and first moments by rotation, second moments by mixing with the squared
 * rotation. A gradient that is 0 or not finite leaves the projection as it is.
 *
 * <p>Muon's adjustment of the learning rate is that of W's shape, not of R's. Muon on low-rank gradients is known to fail to converge on some tasks (GUM,
 * 2510.17802): compare before you trust it.
 *
 * <p>Owns projections, projected gradients, a delta per matrix, FP32 master weights and a workspace of the largest matrix; weights and optimizer
 * stay the caller's. Refreshing allocates for its time; a step does not. Not thread-safe. Close it behind the optimizer, which refers to its memory.
 */
public final class LowRankOptimizer implements AutoCloseable {
    private final Device device;
    private final DeviceMemory memory;
    private final Optimizer optimizer;
    private final GaLore settings;
    private final WeightRounding weightRounding;
    private final Map<String, LowRankMatrix> matrices = new LinkedHashMap<>();
    private final Map<String, String> groups = new LinkedHashMap<>();
    private @Nullable Tensor full;
    private long stepSeed;

    /**
     * Makes one without a matrix.
     *
     * @param optimizer on the same device
     * @param weightRounding of BF16 weights
     */
    public LowRankOptimizer(Device device, Optimizer optimizer, GaLore settings, WeightRounding weightRounding) {
        this.device = device;
        this.memory = device.memory();
        this.optimizer = optimizer;
        this.settings = settings;
        this.weightRounding = weightRounding;
    }

    /**
     * Adds a matrix to a group of the optimizer.
     *
     * @param weights {@code m × n}, FP32 or BF16; named as the parameter is to be
     * @throws IllegalArgumentException if it is no matrix, the rank is larger than its smaller side, there is no such group, or one of that name
     *     is there already
     */
    public void add(Tensor weights, String group) {
        if (!weights.shape().isMatrix()) {
            throw new IllegalArgumentException("'" + weights.name() + "' has the shape " + weights.shape()
                    + "; only matrices (rows × cols) can be projected");
        }
        long smaller = Math.min(weights.shape().extent(0), weights.shape().extent(1));
        if (settings.rank() > smaller) {
            throw new IllegalArgumentException("the rank is " + settings.rank() + " and '" + weights.name() + "' is "
                    + weights.shape() + "; the rank must be at most the smaller side, " + smaller);
        }
        optimizer.group(group);
        LowRankMatrix matrix = new LowRankMatrix(device, weights, settings.rank(), weightRounding);
        try {
            ensureWorkspace(weights.elements());
            optimizer.add(Parameter.of(ParameterKind.MATRIX, matrix.delta, matrix.gradient)
                    .inGroup(group));
        } catch (RuntimeException e) {
            matrix.close();
            throw e;
        }
        matrices.put(matrix.name, matrix);
        groups.put(matrix.name, group);
    }

    private void ensureWorkspace(long elements) {
        if (full == null || full.elements() < elements) {
            if (full != null) {
                full.close();
                full = null;
            }
            full = device.allocate(
                    Purpose.OPTIMIZER_WORKSPACE, "workspace of projections", ElementType.F32, Shape.of(elements));
        }
    }

    /** Begins a step: sets the accumulated gradients of all matrices to 0. */
    public void zero() {
        for (LowRankMatrix matrix : matrices.values()) {
            memory.zero(matrix.gradient.segment(), 0, matrix.gradient.byteSize());
            matrix.projected = false;
        }
    }

    /**
     * Adds the gradient of a micro-batch; the first of a step may refresh the projection.
     *
     * @param gradient {@code m × n}, dense, on the device; needed only during the call (on a GPU: until what the call started is done)
     * @param type FP32 or BF16
     * @throws IllegalArgumentException if there is no such matrix, or the memory does not hold its gradient
     */
    public void accumulate(String name, MemorySegment gradient, ElementType type) {
        LowRankMatrix matrix = matrix(name);
        memory.requireReadable(name + " (gradient)", gradient, type, matrix.weights.elements());
        MemorySegment inFp32 = gradient;
        if (type != ElementType.F32) {
            MemorySegment workspace = workspace();
            device.kernels()
                    .scale(
                            1,
                            gradient,
                            type,
                            matrix.cols,
                            workspace,
                            ElementType.F32,
                            matrix.cols,
                            matrix.cols,
                            0,
                            matrix.rows);
            inFp32 = workspace;
        }
        if (!matrix.projected) {
            matrix.projected = true;
            refreshIfDue(matrix, inFp32);
        }
        MemorySegment projected = inFp32;
        device.workers().run(matrix.project.tasks(), (task, worker) -> matrix.addProjected(task, worker, projected));
    }

    private MemorySegment workspace() {
        if (full == null) {
            throw new IllegalStateException("there is no matrix to project");
        }
        return full.segment();
    }

    private LowRankMatrix matrix(String name) {
        LowRankMatrix matrix = matrices.get(name);
        if (matrix == null) {
            throw new IllegalArgumentException("no matrix '" + name + "' is projected; there are " + matrices.keySet());
        }
        return matrix;
    }

    private void refreshIfDue(LowRankMatrix matrix, MemorySegment gradient) {
        boolean first = matrix.lookedAt < 0;
        long now = optimizer.steps();
        if (!first && now - matrix.lookedAt < settings.refreshInterval()) {
            return;
        }
        double squares = device.kernels().sumSquares(gradient, ElementType.F32, 0, matrix.weights.elements());
        if (!Double.isFinite(squares) || squares == 0) {
            return;
        }
        long seed = settings.seed() ^ (now * 0x9E3779B97F4A7C15L) ^ matrix.name.hashCode();
        float[] basis = new RangeFinder(device, matrix, gradient, seed).basis();
        matrix.lookedAt = now;
        if (first) {
            matrix.projection.copyFrom(basis);
            return;
        }
        float[] q = product(basis, matrix.projection.toFloatArray(), matrix.rank);
        double cosine = 0;
        for (float each : q) {
            cosine += (double) each * each;
        }
        if (1 - Math.sqrt(cosine / matrix.rank) > settings.turnThreshold()) {
            StateRotation.apply(device, optimizer, matrix, q);
            matrix.projection.copyFrom(basis);
        }
    }

    /** {@code AᵀB} of two row-major arrays of {@code rank} columns. */
    private static float[] product(float[] a, float[] b, int rank) {
        double[] sum = new double[rank * rank];
        for (int row = 0; row < a.length; row += rank) {
            for (int i = 0; i < rank; i++) {
                double left = a[row + i];
                for (int j = 0; j < rank; j++) {
                    sum[i * rank + j] += left * b[row + j];
                }
            }
        }
        float[] rounded = new float[sum.length];
        for (int i = 0; i < sum.length; i++) {
            rounded[i] = (float) sum[i];
        }
        return rounded;
    }

    /** Takes a step; see {@link #step(double)}. */
    public StepReport step() {
        return step(1);
    }

    /**
     * Takes a step of the optimizer, all its other parameters included, and brings the matrices' part of it back to full rank.
     *
     * @param gradientScale what gradients are multiplied by first
     */
    public StepReport step(double gradientScale) {
        Map<String, Float> decays = new LinkedHashMap<>();
        for (String name : matrices.keySet()) {
            double decay = optimizer.group(groups.getOrDefault(name, "")).weightDecay();
            decays.put(name, (float) (1 - optimizer.learningRate(name) * decay));
        }
        stepSeed = optimizer.steps();
        StepReport report = optimizer.step(gradientScale);
        if (report.taken()) {
            for (LowRankMatrix matrix : matrices.values()) {
                apply(matrix, decays.getOrDefault(matrix.name, 1f));
            }
        }
        return report;
    }

    private void apply(LowRankMatrix matrix, float decay) {
        MemorySegment update = workspace();
        if (matrix.rounding != null) {
            matrix.rounding.set(settings.seed(), stepSeed, matrix.name.hashCode());
        }
        float rate = (float) (-settings.scale() * adjustment(matrix));
        device.workers().run(matrix.back.tasks(), (task, worker) -> {
            matrix.projectBack(task, worker, update);
            device.kernels()
                    .muonUpdate(
                            matrix.weights.segment(),
                            matrix.weights.type(),
                            matrix.cols,
                            matrix.master == null ? null : matrix.master.segment(),
                            update,
                            ElementType.F32,
                            matrix.cols,
                            decay,
                            rate,
                            matrix.rounding,
                            matrix.cols,
                            matrix.back.begin(task),
                            matrix.back.end(task));
        });
        memory.zero(matrix.delta.segment(), 0, matrix.delta.byteSize());
    }

    /** Muon has multiplied by the adjustment of R's shape; that of W's is meant. */
    private double adjustment(LowRankMatrix matrix) {
        ParameterGroup group = optimizer.group(groups.getOrDefault(matrix.name, ""));
        if (group.spec() instanceof Muon muon) {
            Shape shape = matrix.inRankSpace();
            return muon.adjustment().factor(matrix.rows, matrix.cols)
                    / muon.adjustment().factor(shape.extent(0), shape.extent(1));
        }
        return 1;
    }

    /** The optimizer that it is built on. */
    public Optimizer optimizer() {
        return optimizer;
    }

    /** The projections, to be saved, where they lie: on a GPU their segments have the length zero. They change with every refresh. */
    public List<Projection> projections() {
        List<Projection> all = new ArrayList<>();
        for (LowRankMatrix matrix : matrices.values()) {
            all.add(new Projection(
                    matrix.name,
                    matrix.smaller(),
                    matrix.rank,
                    matrix.weights.elements(),
                    matrix.lookedAt,
                    matrix.projection.segment(),
                    matrix.master == null ? null : matrix.master.segment()));
        }
        return all;
    }

    /**
     * Sets a projection that was saved.
     *
     * @throws IllegalArgumentException if there is no such matrix, or its projection has another shape
     */
    public void restore(Projection saved) {
        LowRankMatrix matrix = matrix(saved.name());
        Tensor master = matrix.master;
        MemorySegment savedMaster = saved.masterWeights();
        if (saved.rows() != matrix.smaller()
                || saved.rank() != matrix.rank
                || saved.values().byteSize() != matrix.projection.byteSize()
                || (master == null) != (savedMaster == null)) {
            throw new IllegalArgumentException("the projection of '" + saved.name() + "' is " + saved.rows() + "×"
                    + saved.rank() + " where it comes from, and " + matrix.smaller() + "×" + matrix.rank + " here");
        }
        memory.copyIn(saved.values(), 0, matrix.projection.segment(), 0, matrix.projection.byteSize());
        if (master != null && savedMaster != null) {
            memory.copyIn(savedMaster, 0, master.segment(), 0, master.byteSize());
        }
        matrix.lookedAt = saved.lookedAt();
    }

    /** Frees what it owns. A second call does nothing. */
    @Override
    public void close() {
        matrices.values().forEach(LowRankMatrix::close);
        matrices.clear();
        if (full != null) {
            full.close();
            full = null;
        }
    }
}
