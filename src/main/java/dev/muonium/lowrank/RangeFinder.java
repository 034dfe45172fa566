package dev.muonium.lowrank;

import dev.muonium.device.Device;
import dev.muonium.device.MatmulSpec;
import dev.muonium.memory.CounterRandom;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * The subspace that most of a gradient lies in: subspace iteration from a random sketch, {@code Y = G·Ω}, then twice {@code Z = Gᵀ·Q(Y)},
 * {@code Y = G·Q(Z)}, where Q makes columns orthonormal (Halko, Martinsson, Tropp: Finding Structure with Randomness, 2011, algorithm 4.4). Products on the
 * device, orthonormalization on the host in FP64. What it needs is allocated for the call.
 */
final class RangeFinder {
    private static final int ITERATIONS = 2;

    private final Device device;
    private final LowRankMatrix matrix;
    private final MemorySegment gradient;
    private final long seed;

    /**
     * @param gradient FP32, of the matrix's shape, finite and not all 0
     * @param seed of the sketch
     */
    RangeFinder(Device device, LowRankMatrix matrix, MemorySegment gradient, long seed) {
        this.device = device;
        this.matrix = matrix;
        this.gradient = gradient;
        this.seed = seed;
    }

    /** {@code smaller side × rank}, row-major. */
    float[] basis() {
        long small = matrix.smaller();
        long large = Math.max(matrix.rows, matrix.cols);
        int rank = matrix.rank;
        try (Tensor onSmall = scratch("basis", small);
                Tensor onLarge = scratch("sketch", large)) {
            onLarge.copyFrom(sketch(large));
            BandedProduct toSmall = new BandedProduct(
                    device,
                    MatmulSpec.f32(!matrix.isLeft(), false, small, rank, large).leading(matrix.cols, rank, rank),
                    false);
            BandedProduct toLarge = new BandedProduct(
                    device,
                    MatmulSpec.f32(matrix.isLeft(), false, large, rank, small).leading(matrix.cols, rank, rank),
                    false);
            multiply(toSmall, onLarge, onSmall);
            for (int i = 0; i < ITERATIONS; i++) {
                orthonormalize(onSmall);
                multiply(toLarge, onSmall, onLarge);
                orthonormalize(onLarge);
                multiply(toSmall, onLarge, onSmall);
            }
            orthonormalize(onSmall);
            return onSmall.toFloatArray();
        }
    }

    private Tensor scratch(String name, long rows) {
        return device.allocate(Purpose.WORKSPACE, name, ElementType.F32, Shape.of(rows, matrix.rank));
    }

    private float[] sketch(long rows) {
        float[] values = new float[Math.toIntExact(rows * matrix.rank)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) CounterRandom.normal(seed, 0, i);
        }
        return values;
    }

    private void multiply(BandedProduct product, Tensor from, Tensor to) {
        device.workers()
                .run(
                        product.tasks(),
                        (task, worker) -> product.run(task, worker, gradient, from.segment(), to.segment()));
    }

    private void orthonormalize(Tensor tensor) {
        float[] values = tensor.toFloatArray();
        int rank = matrix.rank;
        double[][] columns = new double[rank][values.length / rank];
        for (int i = 0; i < values.length; i++) {
            columns[i % rank][i / rank] = values[i];
        }
        Orthonormal.columns(device.workers(), columns, seed);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) columns[i % rank][i / rank];
        }
        tensor.copyFrom(values);
    }
}
