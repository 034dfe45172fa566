package dev.muonium.lowrank;

import dev.muonium.device.Device;
import dev.muonium.device.MatmulSpec;
import dev.muonium.device.TiledProduct;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.RoundedWeights;
import dev.muonium.optim.WeightRounding;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;

/** A matrix, its projection P, its projected gradient R, and the delta D that the optimizer leaves; all but the weights in FP32. */
final class LowRankMatrix implements AutoCloseable {
    /** About the rows of a task that brings an update back. */
    private static final int TASK_ROWS = 64;

    final String name;
    final Tensor weights;
    final long rows;
    final long cols;
    final int rank;
    final Tensor projection;
    final Tensor gradient;
    final Tensor delta;
    final RoundedWeights rounded;
    private final Deque<AutoCloseable> owned = new ArrayDeque<>();
    boolean projected;
    long lookedAt = -1;

    LowRankMatrix(Device device, Tensor weights, int rank, WeightRounding weightRounding) {
        this.name = weights.name();
        this.weights = weights;
        this.rows = weights.shape().extent(0);
        this.cols = weights.shape().extent(1);
        this.rank = rank;
        try {
            this.projection = own(device.allocate(
                    Purpose.OPTIMIZER_STATE, name + ".projection", ElementType.F32, Shape.of(smaller(), rank)));
            this.gradient = own(device.allocate(
                    Purpose.GRADIENTS, "projected gradient of " + name, ElementType.F32, inRankSpace()));
            this.delta = own(device.allocate(Purpose.OPTIMIZER_WORKSPACE, name, ElementType.F32, inRankSpace()));
            this.rounded = own(new RoundedWeights(
                    device, name, weights.segment(), weights.type(), weights.shape(), weightRounding));
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private <T extends AutoCloseable> T own(T made) {
        owned.push(made);
        return made;
    }

    /** Whether P stands on the left: {@code R = PᵀG}. Else {@code R = G·P}. */
    boolean isLeft() {
        return rows <= cols;
    }

    long smaller() {
        return Math.min(rows, cols);
    }

    Shape inRankSpace() {
        return isLeft() ? Shape.of(rank, cols) : Shape.of(rows, rank);
    }

    /** {@code R += PᵀG}, or {@code R += G·P}. */
    void addProjected(GradientBands full) {
        if (isLeft()) {
            full.addTransposedTimesThis(projection.segment(), gradient.segment());
        } else {
            full.times(projection.segment(), gradient.segment(), true);
        }
    }

    /** Rows of {@code P·D}, or of {@code D·Pᵀ}, a task for every few on a CPU. */
    TiledProduct backProduct(Device device, long count) {
        MatmulSpec spec = MatmulSpec.f32(false, !isLeft(), count, cols, rank);
        return TiledProduct.forWorkersOf(device, spec, TASK_ROWS, TiledProduct.WHOLE);
    }

    /** A task of such a product, of rows from {@code first} on. */
    void projectBack(TiledProduct product, int task, int worker, long first, MemorySegment into) {
        if (isLeft()) {
            product.run(task, worker, projection.segment(), first * rank, delta.segment(), 0, into, 0);
        } else {
            product.run(task, worker, delta.segment(), first * rank, projection.segment(), 0, into, 0);
        }
    }

    @Override
    public void close() {
        while (!owned.isEmpty()) {
            try {
                owned.pop().close();
            } catch (RuntimeException e) {
                throw e;
            } catch (Exception e) {
                throw new IllegalStateException("memory of '" + name + "' cannot be freed", e);
            }
        }
    }
}
