package dev.muonium.device;

import dev.muonium.bindings.mu.Muonium;
import dev.muonium.bindings.mu.mu_panel_product;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Segments;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A product of matrices in panels, {@code C ← c₀·I + c₁·D + c₂·A·Bᵀ}: an off-heap {@code mu_panel_product} with its operands,
 * whose sizes are checked here, once. Panels are how the CPU's bf16 products read either operand, and their results are
 * stored in the form in which the next product reads them; {@code native/include/muonium.h} describes the format.
 *
 * <p>Owns nothing: operands and the record itself lie in memory of the caller. Thread-safe but for the methods that set or write something, which
 * must not be called while the product runs.
 */
public final class PanelProduct {
    /** Rows of a panel; where products are cut. */
    public static final long ROWS = 48;

    private static final long DEPTH = 16;
    private static final long ALIGNMENT = 64;

    private final MemorySegment record;
    private final MemorySegment a;
    private final MemorySegment b;
    private final long rows;
    private final long cols;
    private final long depth;
    private final boolean symmetric;
    private MemorySegment d = MemorySegment.NULL;
    private MemorySegment c = MemorySegment.NULL;
    private MemorySegment cTransposed = MemorySegment.NULL;
    private MemorySegment cDense = MemorySegment.NULL;
    private MemorySegment w = MemorySegment.NULL;
    private float c0;
    private float c1;
    private float c2 = 1;
    private float w0;
    private float w1;
    private float w2 = 1;

    private PanelProduct(
            MemorySegment place,
            MemorySegment a,
            MemorySegment b,
            long rows,
            long cols,
            long depth,
            boolean symmetric) {
        Segments.requireWritable("the record of a product of panels", place, ElementType.F64, bytes() / Double.BYTES);
        this.record = place.asSlice(0, mu_panel_product.sizeof());
        this.rows = rows;
        this.cols = cols;
        this.a = readable("a", a, rows, depth);
        this.b = readable("b", b, cols, depth);
        this.depth = depth;
        this.symmetric = symmetric;
    }

    /** Bytes of a record, a multiple of 64. */
    public static long bytes() {
        return roundedUp(mu_panel_product.sizeof(), ALIGNMENT);
    }

    /**
     * Elements of a matrix of {@code rows × depth} in panels.
     *
     * @throws ArithmeticException if a 64-bit count cannot hold them
     */
    public static long elements(long rows, long depth) {
        return Math.multiplyExact(roundedUp(rows, ROWS), roundedUp(depth, DEPTH));
    }

    private static long roundedUp(long count, long multiple) {
        return Math.addExact(count, multiple - 1) / multiple * multiple;
    }

    /**
     * Of n × n, known to be symmetric: what lies in and above the diagonal blocks of {@link #ROWS} is computed, the rest is its
     * mirror.
     *
     * @param place for the record, {@link #bytes()} of it, aligned to 8 bytes
     * @param a {@code n × depth} in panels
     * @param b {@code n × depth} in panels
     * @param d {@code n × n} in panels and symmetric, or null
     * @param c {@code n × n} in panels
     */
    public static PanelProduct symmetric(
            MemorySegment place,
            MemorySegment a,
            MemorySegment b,
            long n,
            long depth,
            @Nullable MemorySegment d,
            MemorySegment c) {
        return square(place, a, b, n, depth, d, c, true);
    }

    /** The same with all of C computed. */
    public static PanelProduct full(
            MemorySegment place,
            MemorySegment a,
            MemorySegment b,
            long n,
            long depth,
            @Nullable MemorySegment d,
            MemorySegment c) {
        return square(place, a, b, n, depth, d, c, false);
    }

    private static PanelProduct square(
            MemorySegment place,
            MemorySegment a,
            MemorySegment b,
            long n,
            long depth,
            @Nullable MemorySegment d,
            MemorySegment c,
            boolean symmetric) {
        PanelProduct product = new PanelProduct(place, a, b, n, n, depth, symmetric);
        if (d != null) {
            product.d = readable("d", d, n, n);
        }
        product.c = writable("c", c, n, n);
        return product;
    }

    /**
     * Into panels, of C and of its transpose.
     *
     * @param a {@code rows × depth} in panels
     * @param b {@code cols × depth} in panels
     * @param c {@code rows × cols} in panels
     * @param cTransposed {@code cols × rows} in panels
     */
    public static PanelProduct intoPanels(
            MemorySegment place,
            MemorySegment a,
            MemorySegment b,
            long rows,
            long cols,
            long depth,
            MemorySegment c,
            MemorySegment cTransposed) {
        PanelProduct product = new PanelProduct(place, a, b, rows, cols, depth, false);
        product.c = writable("c", c, rows, cols);
        product.cTransposed = writable("cTransposed", cTransposed, cols, rows);
        return product;
    }

    /**
     * Into a dense bf16 matrix.
     *
     * @param a {@code rows × depth} in panels
     * @param b {@code cols × depth} in panels
     * @param c {@code rows × cols} by rows
     */
    public static PanelProduct intoDense(
            MemorySegment place, MemorySegment a, MemorySegment b, long rows, long cols, long depth, MemorySegment c) {
        PanelProduct product = new PanelProduct(place, a, b, rows, cols, depth, false);
        Segments.requireWritable("c", c, ElementType.BF16, Math.multiplyExact(rows, cols));
        product.cDense = c;
        return product;
    }

    private static MemorySegment readable(String name, MemorySegment panels, long rows, long depth) {
        Segments.requireOffHeap(name, panels, ElementType.F32, elements(rows, depth) / 2);
        return panels;
    }

    private static MemorySegment writable(String name, MemorySegment panels, long rows, long depth) {
        Segments.requireWritable(name, panels, ElementType.F32, elements(rows, depth) / 2);
        return panels;
    }

    /** Sets {@code c₀}, {@code c₁} and {@code c₂}, which begin as 0, 0 and 1; they are rounded to FP32. */
    public void coefficients(double newC0, double newC1, double newC2) {
        c0 = (float) newC0;
        c1 = (float) newC1;
        c2 = (float) newC2;
    }

    /**
     * Gives a {@link #symmetric} product a second result, {@code W ← w₀·I + w₁·D + w₂·A·Bᵀ}, from the same sums.
     *
     * @param second {@code n × n} in panels
     */
    public void second(MemorySegment second) {
        w = writable("w", second, rows, cols);
    }

    /** Sets {@code w₀}, {@code w₁} and {@code w₂}, which begin as 0, 0 and 1; they are rounded to FP32. */
    public void secondCoefficients(double newW0, double newW1, double newW2) {
        w0 = (float) newW0;
        w1 = (float) newW1;
        w2 = (float) newW2;
    }

    /**
     * Writes the record, which is read by every run from now on. To be called after the coefficients were set, and again when
     * the place has served something else.
     */
    public void write() {
        mu_panel_product.a(record, a);
        mu_panel_product.b(record, b);
        mu_panel_product.d(record, d);
        mu_panel_product.c(record, c);
        mu_panel_product.c_transposed(record, cTransposed);
        mu_panel_product.c_dense(record, cDense);
        mu_panel_product.w(record, w);
        mu_panel_product.c_ld(record, cols);
        mu_panel_product.rows(record, rows);
        mu_panel_product.cols(record, cols);
        mu_panel_product.depth(record, depth);
        mu_panel_product.c0(record, c0);
        mu_panel_product.c1(record, c1);
        mu_panel_product.c2(record, c2);
        mu_panel_product.w0(record, w0);
        mu_panel_product.w1(record, w1);
        mu_panel_product.w2(record, w2);
        mu_panel_product.symmetric(record, symmetric ? 1 : 0);
        mu_panel_product.reserved(record, 0);
    }

    /** Rows of C. */
    public long rows() {
        return rows;
    }

    /** Columns of C. */
    public long cols() {
        return cols;
    }

    /** Status of the native call. */
    int run(MemorySegment context, long rowBegin, long rowEnd, long colBegin, long colEnd) {
        return Muonium.mu_multiply_panels(context, record, rowBegin, rowEnd, colBegin, colEnd);
    }
}
