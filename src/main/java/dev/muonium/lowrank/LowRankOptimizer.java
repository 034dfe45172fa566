package dev.muonium.lowrank;

import dev.muonium.device.Device;
import dev.muonium.device.TiledProduct;
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
 * <p>Owns projections, projected gradients, a delta per matrix, FP32 master weights and a workspace of about {@code (m + n)·r} values; weights and
 * optimizer stay the caller's. Refreshing allocates as much for its time ({@link LowRankMemory}); a step allocates nothing. Not thread-safe. Close it behind the optimizer, which refers to its memory.
 */
public final class LowRankOptimizer implements AutoCloseable {
    private final Device device;
    private final DeviceMemory memory;
    private final Optimizer optimizer;
    private final GaLore settings;
    private final WeightRounding weightRounding;
    private final Map<String, LowRankMatrix> matrices = new LinkedHashMap<>();
    private final Map<String, String> groups = new LinkedHashMap<>();
    private @Nullable Tensor workspace;
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
     * Adds a matrix to a group of the optimizer. It is projected as one and cannot be split: what the optimizer orthogonalizes is R, whose rows are not W's.
     *
     * @param weights {@code m × n}, FP32 or BF16; named as the parameter is to be
     * @throws IllegalArgumentException if it is no matrix, the rank is larger than its smaller side, there is no such group, or one of that name
     *     is there already
     */
    public void add(Tensor weights, String group) {
        if (!weights.shape().isMatrix()) {
            throw new IllegalArgumentException("'" + weights.name() + "' has the shape " + weights.shape()
                    + "; only matrices (rows × cols) can be projected"
                    + (weights.shape().rank() > 2 ? "; of a stack, add each matrix, a Tensor.view, by itself" : ""));
        }
        long smaller = Math.min(weights.shape().extent(0), weights.shape().extent(1));
        if (settings.rank() > smaller) {
            throw new IllegalArgumentException("the rank is " + settings.rank() + " and '" + weights.name() + "' is "
                    + weights.shape() + "; the rank must be at most the smaller side, " + smaller);
        }
        optimizer.group(group);
        LowRankMatrix matrix = new LowRankMatrix(device, weights, settings.rank(), weightRounding);
        try {
            ensureWorkspace(LowRankMemory.workspaceElements(weights.shape(), settings.rank()));
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
        if (workspace == null || workspace.elements() < elements) {
            if (workspace != null) {
                workspace.close();
                workspace = null;
            }
            workspace = device.allocate(
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
        GradientBands bands =
                new GradientBands(device, gradient, type, matrix.weights.shape(), matrix.rank, workspace());
        if (!matrix.projected) {
            matrix.projected = true;
            refreshIfDue(matrix, bands);
        }
        matrix.addProjected(bands);
    }

    private MemorySegment workspace() {
        if (workspace == null) {
            throw new IllegalStateException("there is no matrix to project");
        }
        return workspace.segment();
    }

    private LowRankMatrix matrix(String name) {
        LowRankMatrix matrix = matrices.get(name);
        if (matrix == null) {
            throw new IllegalArgumentException("no matrix '" + name + "' is projected; there are " + matrices.keySet());
        }
        return matrix;
    }

    private void refreshIfDue(LowRankMatrix matrix, GradientBands gradient) {
        boolean first = matrix.lookedAt < 0;
        long now = optimizer.steps();
        if (!first && now - matrix.lookedAt < settings.refreshInterval()) {
            return;
        }
        double squares = gradient.sumSquares();
        if (!Double.isFinite(squares) || squares == 0) {
            return;
        }
        long seed = settings.seed() ^ (now * 0x9E3779B97F4A7C15L) ^ matrix.name.hashCode();
        try (RangeFinder finder = new RangeFinder(device, matrix.weights.shape(), matrix.rank, workspace())) {
            MemorySegment basis = finder.basis(gradient, Math.sqrt(squares), seed);
            matrix.lookedAt = now;
            if (!first) {
                float[] rotation = finder.rotationFrom(matrix.projection.segment());
                if (!hasTurned(rotation, matrix.rank)) {
                    return;
                }
                StateRotation.apply(device, optimizer, matrix, rotation);
            }
            memory.copy(basis, 0, matrix.projection.segment(), 0, matrix.projection.byteSize());
        }
    }

    /** Of {@code P'ᵀP}: its Frobenius norm is the root of the sum of the squared cosines of the angles between the subspaces. */
    private boolean hasTurned(float[] rotation, int rank) {
        double cosines = 0;
        for (float each : rotation) {
            cosines += (double) each * each;
        }
        return 1 - Math.sqrt(cosines / rank) > settings.turnThreshold();
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
        float rate = (float) (-settings.scale() * adjustment(matrix));
        long bandRows = LowRankMemory.bandRows(matrix.weights.shape(), matrix.rank);
        for (long first = 0; first < matrix.rows; first += bandRows) {
            apply(matrix, first, Math.min(bandRows, matrix.rows - first), decay, rate);
        }
        memory.zero(matrix.delta.segment(), 0, matrix.delta.byteSize());
    }

    private void apply(LowRankMatrix matrix, long first, long count, float decay, float rate) {
        MemorySegment update = workspace();
        MemorySegment weights = rows(matrix.weights, matrix.cols, first, count);
        Tensor copy = matrix.rounded.master();
        MemorySegment master = copy == null ? null : rows(copy, matrix.cols, first, count);
        // The kernel numbers the elements of the band from 0: bands differ in the key instead.
        matrix.rounded.keyRounding(settings.seed(), stepSeed, first);
        TiledProduct product = matrix.backProduct(device, count);
        device.workers().run(product.tasks(), (task, worker) -> {
            matrix.projectBack(product, task, worker, first, update);
            device.kernels()
                    .muonUpdate(
                            weights,
                            matrix.weights.type(),
                            matrix.cols,
                            master,
                            update,
                            ElementType.F32,
                            matrix.cols,
                            decay,
                            rate,
                            matrix.rounded.rounding(),
                            matrix.cols,
                            product.firstRow(task),
                            product.endRow(task));
        });
    }

    private MemorySegment rows(Tensor matrix, long cols, long first, long count) {
        long rowBytes = cols * matrix.type().byteSize();
        return memory.slice(matrix.segment(), first * rowBytes, count * rowBytes);
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
            Tensor master = matrix.rounded.master();
            all.add(new Projection(
                    matrix.name,
                    matrix.smaller(),
                    matrix.rank,
                    matrix.weights.elements(),
                    matrix.lookedAt,
                    matrix.projection.segment(),
                    master == null ? null : master.segment()));
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
        Tensor master = matrix.rounded.master();
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
        if (workspace != null) {
            workspace.close();
            workspace = null;
        }
    }
}
