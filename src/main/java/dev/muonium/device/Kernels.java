package dev.muonium.device;

import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The native kernels of a device. Each call runs on the calling thread alone, over a range of elements or rows of arrays that are
 * given by their base segments; formulas and borders are those of {@code native/include/muonium.h}. Every call checks that the
 * range lies within its segments; nothing is allocated.
 *
 * <p>Thread-safe: calls on disjoint ranges may run at the same time.
 */
public interface Kernels {
    /** {@code codes, scales ← quantize(x)}; see {@link BlockFormat}. */
    void quantize(
            BlockFormat format,
            int block,
            MemorySegment x,
            ElementType xType,
            MemorySegment codes,
            @Nullable MemorySegment scales,
            long begin,
            long end);

    /**
     * A matrix as an operand of an FP8 product; see {@code mu_fp8_operand}, whose layouts and scalings these are.
     *
     * @param scaling one of {@code MU_SCALING_*}
     * @param transposed whether the operand is the transpose of x
     * @param x {@code rows × cols}, dense
     * @param codes {@code codesRows × codesLd}
     * @param scales with {@code scalesLd} from one block's to the next, which a scale for the whole matrix does not need
     */
    void fp8Operand(
            BlockFormat format,
            int scaling,
            boolean transposed,
            MemorySegment x,
            ElementType xType,
            long rows,
            long cols,
            MemorySegment codes,
            long codesLd,
            long codesRows,
            MemorySegment scales,
            long scalesLd);

    /** {@code out ← dequantize(codes, scales)}. */
    void dequantize(
            BlockFormat format,
            int block,
            MemorySegment codes,
            @Nullable MemorySegment scales,
            MemorySegment out,
            ElementType outType,
            long begin,
            long end);

    /**
     * The 256 values of a dynamic map, in ascending order.
     *
     * @throws IllegalArgumentException if the format has none
     */
    float[] dynamicMap(BlockFormat format);

    /** {@code Σ x[i]²} in double; finite if and only if every element is. */
    double sumSquares(MemorySegment x, ElementType type, long begin, long end);

    /** {@code out ← alpha·x}, rows of {@code cols} elements. */
    void scale(
            float alpha,
            MemorySegment x,
            ElementType xType,
            long xLd,
            MemorySegment out,
            ElementType outType,
            long outLd,
            long cols,
            long rowBegin,
            long rowEnd);

    /** {@code out ← alpha·x + beta·y}, rows of {@code cols} elements; {@code out} may be {@code x} or {@code y}. */
    void axpby(
            float alpha,
            MemorySegment x,
            ElementType xType,
            long xLd,
            float beta,
            MemorySegment y,
            ElementType yType,
            long yLd,
            MemorySegment out,
            ElementType outType,
            long outLd,
            long cols,
            long rowBegin,
            long rowEnd);

    /** Makes rows of the strict lower triangle the mirror of the upper one. */
    void mirrorUpper(MemorySegment x, ElementType type, long ld, long rowBegin, long rowEnd);

    /**
     * The fused momentum pass of Muon.
     *
     * @return {@code Σ u²} over the range
     */
    double muonMomentum(
            BlockFormat format,
            int block,
            MemorySegment gradient,
            ElementType gradientType,
            float gradientScale,
            MemorySegment momentum,
            @Nullable MemorySegment scales,
            MemorySegment update,
            ElementType updateType,
            double beta,
            boolean nesterov,
            long begin,
            long end);

    /**
     * {@code w ← decay·w - rate·o}.
     *
     * @param rounding the key of stochastic rounding for bf16 weights, or null to round to nearest
     */
    void muonUpdate(
            MemorySegment weights,
            ElementType weightType,
            long weightLd,
            @Nullable MemorySegment master,
            MemorySegment o,
            ElementType oType,
            long oLd,
            float decay,
            float rate,
            @Nullable Rounding rounding,
            long cols,
            long rowBegin,
            long rowEnd);

    /** One AdamW step over a range of elements. */
    void adamW(
            AdamWParameters parameters,
            int block,
            MemorySegment weights,
            ElementType weightType,
            @Nullable MemorySegment master,
            MemorySegment gradient,
            ElementType gradientType,
            BlockFormat mFormat,
            MemorySegment m,
            @Nullable MemorySegment mScales,
            BlockFormat vFormat,
            MemorySegment v,
            @Nullable MemorySegment vScales,
            @Nullable Rounding rounding,
            long begin,
            long end);

    /**
     * {@code panels, transposed ← factor·x} in panels: a dense bf16 matrix, and its transpose, as {@link PanelProduct} reads them.
     *
     * @param x {@code rows × cols}
     * @param panels {@link PanelProduct#elements elements(rows, cols)} of bf16
     * @param transposed {@link PanelProduct#elements elements(cols, rows)} of bf16
     * @param rowBegin a multiple of {@link PanelProduct#ROWS}
     * @param rowEnd a multiple of {@link PanelProduct#ROWS}, or {@code rows}
     * @throws dev.muonium.NativeException on a GPU, which has no panels
     */
    void packPanels(
            float factor,
            MemorySegment x,
            long rows,
            long cols,
            MemorySegment panels,
            MemorySegment transposed,
            long rowBegin,
            long rowEnd);

    /**
     * Computes the rows {@code [rowBegin, rowEnd)} and columns {@code [colBegin, colEnd)} of a product; borders are multiples of
     * {@link PanelProduct#ROWS} or the end, and do not show in the result.
     *
     * @throws dev.muonium.NativeException on a GPU, which has no panels
     */
    void multiplyPanels(PanelProduct product, long rowBegin, long rowEnd, long colBegin, long colEnd);

    /** Off-heap {@code mu_rounding}: made once per parameter, set before a step. Closed by its maker. */
    Rounding newRounding();

    /** Off-heap {@code mu_adamw_params}: made once per parameter group, set before a step. Closed by its maker. */
    AdamWParameters newAdamWParameters();
}
