package dev.muonium.lowrank;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;

/**
 * The subspace that most of a gradient lies in: subspace iteration from a random sketch, {@code Y = G·Ω}, then twice {@code Z = Gᵀ·Q(Y)},
 * {@code Y = G·Q(Z)}, where Q makes columns orthonormal (Halko, Martinsson, Tropp: Finding Structure with Randomness, 2011, algorithm 4.4). (With G for
 * Gᵀ, where the matrix has more rows than columns.)
 *
 * <p>All of it runs on the device, in FP32: five products of {@code 2·m·n·r} operations and, for a gradient whose columns are not badly conditioned, six
 * passes of {@link Orthonormalization}, two of them with {@code p = max(m, n)} and four with {@code min(m, n)}. G is read five times. Holds
 * {@code (m + n)·r + 2·r²} values while it lives, and borrows {@code max(m, n)·r}.
 */
final class RangeFinder implements AutoCloseable {
    private static final int ITERATIONS = 2;

    /** Factors beyond these would not be FP32, or make products that are not. */
    private static final double LARGEST_FACTOR = 1e30;

    private final Device device;
    private final long small;
    private final long large;
    private final boolean left;
    private final int rank;
    private final Tensor onSmall;
    private final Tensor onLarge;
    private final Orthonormalization orthonormalization;

    /**
     * @param shape of the gradient, {@code m × n}
     * @param rank columns of the basis
     * @param spare of {@code max(m, n)·rank} FP32 values; written during a call
     */
    RangeFinder(Device device, Shape shape, int rank, MemorySegment spare) {
        this.device = device;
        this.left = shape.extent(0) <= shape.extent(1);
        this.small = Math.min(shape.extent(0), shape.extent(1));
        this.large = Math.max(shape.extent(0), shape.extent(1));
        this.rank = rank;
        this.orthonormalization = new Orthonormalization(device, rank, spare);
        Tensor basis = null;
        try {
            basis = scratch("basis", small);
            this.onLarge = scratch("sketch", large);
        } catch (RuntimeException e) {
            if (basis != null) {
                basis.close();
            }
            orthonormalization.close();
            throw e;
        }
        this.onSmall = basis;
    }

    private Tensor scratch(String name, long rows) {
        return device.allocate(Purpose.WORKSPACE, name, ElementType.F32, Shape.of(rows, rank));
    }

    /**
     * Finds the subspace.
     *
     * @param gradient finite and not all 0
     * @param norm of it, {@code ‖G‖}
     * @param seed of the sketch
     * @return {@code smaller side × rank}, orthonormal columns; valid until the next call
     */
    MemorySegment basis(GradientBands gradient, double norm, long seed) {
        // Whatever the size of G, products and their Gram matrices are to stay within FP32.
        double size = Math.clamp(1 / norm, 1 / LARGEST_FACTOR, LARGEST_FACTOR);
        BitSet all = new BitSet();
        all.set(0, rank);
        Sketch.fill(device, onLarge.segment(), large, rank, size, seed, all);
        toSmall(gradient);
        for (int i = 0; i < ITERATIONS; i++) {
            orthonormalization.condition(onSmall.segment(), small, size, seed);
            toLarge(gradient);
            orthonormalization.condition(onLarge.segment(), large, size, seed);
            toSmall(gradient);
        }
        orthonormalization.orthonormalize(onSmall.segment(), small, seed);
        return onSmall.segment();
    }

    /** {@code BᵀP}, {@code rank × rank}, of the basis that was found last and another one; on the host. */
    float[] rotationFrom(MemorySegment other) {
        return orthonormalization.product(onSmall.segment(), other, small);
    }

    private void toSmall(GradientBands gradient) {
        if (left) {
            gradient.times(onLarge.segment(), onSmall.segment(), false);
        } else {
            gradient.transposedTimes(onLarge.segment(), onSmall.segment());
        }
    }

    private void toLarge(GradientBands gradient) {
        if (left) {
            gradient.transposedTimes(onSmall.segment(), onLarge.segment());
        } else {
            gradient.times(onSmall.segment(), onLarge.segment(), false);
        }
    }

    @Override
    public void close() {
        onLarge.close();
        onSmall.close();
        orthonormalization.close();
    }
}
