package dev.muonium.ortho;

import dev.muonium.device.Kernels;
import dev.muonium.device.PanelProduct;
import java.util.function.Consumer;

/** A product of matrices in panels, cut into squares of panels. */
final class PanelStage implements Stage, Normalized {
    /** Rows and columns of a task: four panels, so that both sides of a product of depth 768 stay in a second-level cache. */
    private static final long SIDE = 4 * PanelProduct.ROWS;

    private static final Coefficients NONE = new Coefficients(0, 0, 0);

    private final Kernels kernels;
    private final PanelProduct product;
    private final int down;
    private final int across;
    private final boolean upper;
    private final Coefficients coefficients;
    private final Consumer<Coefficients> set;

    /** @param upper whether the tasks below the diagonal are left out */
    PanelStage(Kernels kernels, PanelProduct product, boolean upper) {
        this(kernels, product, upper, NONE, _ -> {});
    }

    /** @param set gives the product its part of the coefficients, which are those of {@code s·σ} once the norm is known */
    PanelStage(
            Kernels kernels,
            PanelProduct product,
            boolean upper,
            Coefficients coefficients,
            Consumer<Coefficients> set) {
        this.kernels = kernels;
        this.product = product;
        this.down = Math.toIntExact((product.rows() + SIDE - 1) / SIDE);
        this.across = Math.toIntExact((product.cols() + SIDE - 1) / SIDE);
        this.upper = upper;
        this.coefficients = coefficients;
        this.set = set;
        set.accept(coefficients);
    }

    /** The record lies in a workspace that other iterations use in between. */
    @Override
    public void prepare() {
        product.write();
    }

    @Override
    public void factor(double s) {
        set.accept(coefficients.ofScaled(s));
        product.write();
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
