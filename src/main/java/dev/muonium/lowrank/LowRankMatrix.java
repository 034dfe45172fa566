package dev.muonium.lowrank;

import dev.muonium.device.Device;
import dev.muonium.device.MatmulSpec;
import dev.muonium.device.Rounding;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.WeightRounding;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/** A matrix, its projection P, its projected gradient R, and the delta D that the optimizer leaves; all but the weights in FP32. */
final class LowRankMatrix implements AutoCloseable {
    final String name;
    final Tensor weights;
    final long rows;
    final long cols;
    final int rank;
    final Tensor projection;
    final Tensor gradient;
    final Tensor delta;
    final @Nullable Tensor master;
    final @Nullable Rounding rounding;
    final BandedProduct project;
    final BandedProduct back;
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
            boolean rounds = weights.type() == ElementType.BF16;
            this.master = rounds && weightRounding == WeightRounding.MASTER_WEIGHTS ? own(masterOf(device)) : null;
            this.rounding = rounds && weightRounding == WeightRounding.STOCHASTIC
                    ? own(device.kernels().newRounding())
                    : null;
            this.project = new BandedProduct(device, projectSpec().accumulating(), isLeft());
            this.back = new BandedProduct(device, backSpec(), false);
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private <T extends AutoCloseable> T own(T made) {
        owned.push(made);
        return made;
    }

    private Tensor masterOf(Device device) {
        Tensor copy =
                device.allocate(Purpose.MASTER_WEIGHTS, name + ".master_weights", ElementType.F32, weights.shape());
        device.kernels()
                .scale(
                        1,
                        weights.segment(),
                        weights.type(),
                        cols,
                        copy.segment(),
                        ElementType.F32,
                        cols,
                        cols,
                        0,
                        rows);
        return copy;
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

    private MatmulSpec projectSpec() {
        return isLeft()
                ? MatmulSpec.f32(true, false, rank, cols, rows)
                : MatmulSpec.f32(false, false, rows, rank, cols);
    }

    private MatmulSpec backSpec() {
        return isLeft()
                ? MatmulSpec.f32(false, false, rows, cols, rank)
                : MatmulSpec.f32(false, true, rows, cols, rank);
    }

    /** {@code R += PᵀG}, or {@code R += G·P}. */
    void addProjected(int task, int worker, MemorySegment full) {
        if (isLeft()) {
            project.run(task, worker, projection.segment(), full, gradient.segment());
        } else {
            project.run(task, worker, full, projection.segment(), gradient.segment());
        }
    }

    /** Rows of {@code P·D}, or {@code D·Pᵀ}. */
    void projectBack(int task, int worker, MemorySegment into) {
        if (isLeft()) {
            back.run(task, worker, projection.segment(), delta.segment(), into);
        } else {
            back.run(task, worker, delta.segment(), projection.segment(), into);
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
