package dev.muonium.lowrank;

import dev.muonium.device.Device;
import dev.muonium.device.MatmulSpec;
import dev.muonium.device.TiledProduct;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;

/**
 * Makes r columns of p rows orthonormal on the device by Cholesky QR: {@code A = YᵀY}, {@code Y ← Y·M} with {@link GramFactor}'s M; only A and M, {@code r × r},
 * pass through the host. A pass is {@code 4·p·r²} operations on the device and {@code 2·r³/3} on the host. Columns whose angles are not tiny take one pass to be
 * well conditioned and a second one to be orthonormal in FP32 (Cholesky QR2; Yamamoto et al. 2015); ill-conditioned ones take more, with a shift. Columns
 * that are 0, or still depend on others then, are replaced by random ones.
 */
final class Orthonormalization implements AutoCloseable {
    /** By then, noise of FP32 in a column has been amplified to the column's size: what is still missing was exactly 0. */
    private static final int PASSES_BEFORE_DROPPING = 3;

    private static final int MOST_PASSES = 20;

    /** A Gram matrix this near to I has a Cholesky factor whose rounding is that of FP32. */
    private static final double NEARLY = 0.1;

    private static final int TASK_ROWS = 256;
    private static final int TASK_COLS = 512;

    private final Device device;
    private final DeviceMemory memory;
    private final int rank;
    private final MemorySegment spare;
    private final Tensor gram;
    private final Tensor factor;

    /**
     * @param spare as large as the largest matrix that is to be orthonormalized; written during a call
     */
    Orthonormalization(Device device, int rank, MemorySegment spare) {
        this.device = device;
        this.memory = device.memory();
        this.rank = rank;
        this.spare = spare;
        Shape shape = Shape.of(rank, rank);
        this.gram = device.allocate(Purpose.WORKSPACE, "Gram matrix", ElementType.F32, shape);
        try {
            this.factor = device.allocate(Purpose.WORKSPACE, "factor of the Gram matrix", ElementType.F32, shape);
        } catch (RuntimeException e) {
            gram.close();
            throw e;
        }
    }

    /**
     * {@code YᵀX}, on the host.
     *
     * @param y {@code rows × rank}
     * @param x {@code rows × rank}
     * @return {@code rank × rank}, row-major
     */
    float[] product(MemorySegment y, MemorySegment x, long rows) {
        run(MatmulSpec.f32(true, false, rank, rank, rows), y, x, gram.segment());
        return gram.toFloatArray();
    }

    /** Makes columns orthonormal, {@code ‖YᵀY - I‖} a few units of FP32; see {@link #condition}. */
    void orthonormalize(MemorySegment y, long rows, long seed) {
        run(y, rows, 1, true, seed);
    }

    /**
     * Makes columns nearly orthonormal, well enough for the next product not to lose one in another.
     *
     * @param y {@code rows × rank}, at least as many rows as columns, finite
     * @param size what the columns are multiplied by in the end
     * @param seed of columns that replace others
     */
    void condition(MemorySegment y, long rows, double size, long seed) {
        run(y, rows, size, false, seed);
    }

    private void run(MemorySegment y, long rows, double size, boolean precisely, long seed) {
        for (int pass = 0; pass < MOST_PASSES; pass++) {
            GramFactor next = GramFactor.of(product(y, y, rows), rank, pass >= PASSES_BEFORE_DROPPING);
            boolean last = next.isComplete() && (!precisely || next.deviation() < NEARLY);
            float[] inverse = last ? next.inverse(size) : null;
            if (inverse != null) {
                multiply(y, rows, inverse);
                return;
            }
            inverse = next.inverse(1);
            if (inverse == null) {
                break;
            }
            multiply(y, rows, inverse);
            replace(y, rows, next.missing(), seed + 1 + pass);
        }
        throw new IllegalStateException(
                "the subspace of a gradient was not found; " + rank + " columns of " + rows + " rows stay dependent");
    }

    private void multiply(MemorySegment y, long rows, float[] inverse) {
        factor.copyFrom(inverse);
        run(MatmulSpec.f32(false, false, rows, rank, rank), y, factor.segment(), spare);
        memory.copy(spare, 0, y, 0, rows * rank * Float.BYTES);
    }

    private void replace(MemorySegment y, long rows, BitSet missing, long seed) {
        if (missing.isEmpty()) {
            return;
        }
        Sketch.fill(device, spare, rows, rank, 1 / Math.sqrt((double) rows), seed, missing);
        long cols = rank;
        device.kernels()
                .axpby(
                        1,
                        y,
                        ElementType.F32,
                        cols,
                        1,
                        spare,
                        ElementType.F32,
                        cols,
                        y,
                        ElementType.F32,
                        cols,
                        cols,
                        0,
                        rows);
    }

    private void run(MatmulSpec spec, MemorySegment a, MemorySegment b, MemorySegment c) {
        TiledProduct product = TiledProduct.forWorkersOf(device, spec, TASK_ROWS, TASK_COLS);
        device.workers().run(product.tasks(), (task, worker) -> product.run(task, worker, a, b, c));
    }

    @Override
    public void close() {
        factor.close();
        gram.close();
    }
}
