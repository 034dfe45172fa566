package dev.muonium.ortho;

import dev.muonium.device.Kernels;
import java.lang.foreign.MemorySegment;

/**
 * {@code C ← α·U + A·B}, where {@code A·B} is a {@link ProductStage} that accumulates. Keeps the multiple of the identity out of the
 * rounding of A.
 */
final class SumStage implements Stage, Normalized {
    private final Kernels kernels;
    private final double unscaled;
    private final Matrix u;
    private final ProductStage product;
    private final MemorySegment[] uParts;
    private final MemorySegment[] cParts;
    private float alpha;

    SumStage(Kernels kernels, double alpha, Matrix u, ProductStage product) {
        this.kernels = kernels;
        this.unscaled = alpha;
        this.u = u;
        this.product = product;
        this.uParts = parts(u);
        this.cParts = parts(product.result());
        factor(1);
    }

    /** Kernels take a base and no offset. */
    private MemorySegment[] parts(Matrix matrix) {
        MemorySegment[] parts = new MemorySegment[product.tasks()];
        for (int i = 0; i < parts.length; i++) {
            parts[i] = matrix.from(product.tile(i).cOffset());
        }
        return parts;
    }

    @Override
    public void factor(double s) {
        alpha = (float) (unscaled * s);
    }

    @Override
    public int tasks() {
        return product.tasks();
    }

    @Override
    public void run(int task, int worker) {
        Tile tile = product.tile(task);
        Matrix c = product.result();
        kernels.scale(
                alpha,
                uParts[task],
                u.type(),
                u.cols(),
                cParts[task],
                c.type(),
                c.cols(),
                tile.product().spec().n(),
                0,
                tile.product().spec().m());
        product.run(task, worker);
    }
}
