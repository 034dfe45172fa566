package dev.muonium.ortho;

import dev.muonium.device.Kernels;
import dev.muonium.device.PanelProduct;
import org.jspecify.annotations.Nullable;

/** A product of matrices in panels, cut into squares of panels. */
final class PanelStage implements Stage, Normalized {
    /** Rows and columns of a task: four panels, so that both sides of a product of depth 768 stay in a second-level cache. */
    private static final long SIDE = 4 * PanelProduct.ROWS;

    private final Kernels kernels;
    private final PanelProduct product;
    private final int down;
    private final int across;
    private final boolean upper;
    private @Nullable Coefficients coefficients;

    /** @param upper whether the tasks below the diagonal are left out */
    PanelStage(Kernels kernels, PanelProduct product, boolean upper) {
        this.kernels = kernels;
        this.product = product;
        this.down = Math.toIntExact((product.rows() + SIDE - 1) / SIDE);
        this.across = Math.toIntExact((product.cols() + SIDE - 1) / SIDE);
        this.upper = upper;
    }

    /** This, as {@code a·I + b·D + c·A·Bᵀ}. */
    PanelStage polynomial(Coefficients of) {
        coefficients = of;
        factor(1);
        return this;
    }

    @Override
    public void factor(double s) {
        if (coefficients != null) {
            product.coefficients(
                    (float) (coefficients.a() * s),
                    (float) (coefficients.b() * s * s * s),
                    (float) (coefficients.c() * s * s * s * s * s));
        }
    }

    @Override
    public int tasks() {
        return upper ? down * (down + 1) / 2 : Math.multiplyExact(down, across);
    }

    @Override
    public void run(int task, int worker) {
        long row = upper ? rowOf(task) : task / across;
        long col = upper ? task - row * (row + 1) / 2 : task % across;
        // Counted along the columns of the upper triangle: the task's row of the count is its column.
        long firstRow = (upper ? col : row) * SIDE;
        long firstCol = (upper ? row : col) * SIDE;
        kernels.multiplyPanels(
                product,
                firstRow,
                Math.min(firstRow + SIDE, product.rows()),
                firstCol,
                Math.min(firstCol + SIDE, product.cols()));
    }

    /** The greatest r with r·(r + 1)/2 ≤ task. */
    private static long rowOf(int task) {
        long r = (long) ((Math.sqrt(8.0 * task + 1) - 1) / 2);
        return (r + 1) * (r + 2) / 2 <= task ? r + 1 : r;
    }
}
