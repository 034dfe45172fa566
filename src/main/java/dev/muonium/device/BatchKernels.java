package dev.muonium.device;

import dev.muonium.bindings.mu.Muonium;
import dev.muonium.bindings.mu.mu_adamw_item;
import dev.muonium.bindings.mu.mu_gradient;
import dev.muonium.bindings.mu.mu_muon_item;
import dev.muonium.bindings.mu.mu_newton_schulz_start;
import dev.muonium.bindings.mu.mu_step;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Segments;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The kernels that do a whole optimizer step to many arrays at a time; formulas are those of {@code native/include/muonium.h},
 * sections "a whole optimizer step" and "Newton-Schulz". The arrays are described by records that lie in the device's memory: that
 * the records, and what is named in a call, lie within their segments is checked here; what a record points to, nobody can check.
 *
 * <p>On a GPU a record may describe a part of an array that begins at a later chunk {@code c}: its {@code first_chunk} is then smaller by {@code c} (and may be
 * negative), {@code elements} is where the part ends, and addresses are those of the array's first element, which need not be there.
 *
 * <p>On a GPU the calls are put into the device's stream and may be recorded. Nothing is allocated. Not for two threads that
 * write the same arrays.
 */
public final class BatchKernels {
    /** Elements of a chunk: records number their arrays through by chunks. */
    public static final int CHUNK = Muonium.MU_CHUNK();

    private final NativeContext context;
    private final DeviceMemory memory;

    BatchKernels(NativeContext context, DeviceMemory memory) {
        this.context = context;
        this.memory = memory;
    }

    /**
     * The norm of all gradients together, and what it means for the step.
     *
     * @param gradients {@code count} records {@code mu_gradient}
     * @param chunks the chunks of all gradients together
     * @param partial room for {@code chunks} doubles
     * @param step a {@code mu_step}, whose results are written
     */
    public void gradientSweep(
            MemorySegment gradients, long count, long chunks, MemorySegment partial, MemorySegment step) {
        requireRecords("gradients", gradients, count, mu_gradient.sizeof());
        requireChunks(chunks, count);
        memory.requireWritable("partial", partial, ElementType.F64, chunks);
        memory.requireWritable("step", step, ElementType.F64, mu_step.sizeof() / Double.BYTES);
        context.check(
                Muonium.mu_gradient_sweep(context.handle(), gradients, count, chunks, partial, step),
                "mu_gradient_sweep");
    }

    /**
     * The momentum pass of Muon for every record.
     *
     * @param items {@code count} records {@code mu_muon_item}
     * @param sums room for {@code chunks} doubles: the sum of u² over each chunk
     */
    public void muonMomentum(
            BlockFormat format,
            int block,
            ElementType gradientType,
            ElementType updateType,
            boolean nesterov,
            MemorySegment items,
            long count,
            long chunks,
            MemorySegment step,
            MemorySegment sums) {
        BlockFormat.requireBlock(block);
        requireRecords("items", items, count, mu_muon_item.sizeof());
        requireChunks(chunks, count);
        requireStep(step);
        memory.requireWritable("sums", sums, ElementType.F64, chunks);
        context.check(
                Muonium.mu_muon_momentum_many(
                        context.handle(),
                        NativeKernels.code(format.requireOptimizerState("momentum")),
                        block,
                        NativeKernels.code(gradientType),
                        NativeKernels.code(updateType),
                        nesterov ? 1 : 0,
                        items,
                        count,
                        chunks,
                        step,
                        sums),
                "mu_muon_momentum_many");
    }

    /** {@code w ← decay·w - rate·direction} for every record {@code mu_muon_item}. */
    public void muonUpdate(
            ElementType weightType,
            ElementType directionType,
            MemorySegment items,
            long count,
            long chunks,
            MemorySegment step) {
        requireRecords("items", items, count, mu_muon_item.sizeof());
        requireChunks(chunks, count);
        requireStep(step);
        context.check(
                Muonium.mu_muon_update_many(
                        context.handle(),
                        NativeKernels.code(weightType),
                        NativeKernels.code(directionType),
                        items,
                        count,
                        chunks,
                        step),
                "mu_muon_update_many");
    }

    /** One AdamW step for every record {@code mu_adamw_item}. */
    public void adamW(
            int block,
            ElementType weightType,
            ElementType gradientType,
            BlockFormat mFormat,
            BlockFormat vFormat,
            MemorySegment items,
            long count,
            long chunks,
            MemorySegment step) {
        BlockFormat.requireBlock(block);
        requireRecords("items", items, count, mu_adamw_item.sizeof());
        requireChunks(chunks, count);
        requireStep(step);
        context.check(
                Muonium.mu_adamw_many(
                        context.handle(),
                        block,
                        NativeKernels.code(weightType),
                        NativeKernels.code(gradientType),
                        NativeKernels.code(mFormat.requireOptimizerState("m")),
                        NativeKernels.code(vFormat.requireOptimizerState("v")),
                        items,
                        count,
                        chunks,
                        step),
                "mu_adamw_many");
    }

    /**
     * {@code Σ x[i]²} over {@code [begin, end)}, left where the device needs it.
     *
     * @param sum where the double goes
     */
    public void sumSquares(MemorySegment x, ElementType type, long begin, long end, MemorySegment sum) {
        memory.requireReadable("x", x, type, end);
        memory.requireWritable("sum", sum, ElementType.F64, 1);
        context.check(
                Muonium.mu_sum_squares(context.handle(), x, NativeKernels.code(type), begin, end, sum),
                "mu_sum_squares");
    }

    /**
     * Brings {@code count} matrices of {@code elements} elements, {@code stride} apart, into the range of the iteration, and
     * writes the coefficients of its first step.
     *
     * @param start a {@code mu_newton_schulz_start} in memory of the host, read before this returns
     * @param sums {@code sumsPerMatrix} doubles for each matrix, which add up to its squared norm
     * @param coefficients three floats for each matrix
     * @param step null where nothing can be left out
     */
    public void newtonSchulzBegin(
            MemorySegment start,
            MemorySegment x,
            ElementType type,
            long elements,
            long stride,
            long count,
            MemorySegment sums,
            long sumsPerMatrix,
            MemorySegment coefficients,
            @Nullable MemorySegment step) {
        Segments.requireOffHeap("start", start, ElementType.F64, mu_newton_schulz_start.sizeof() / Double.BYTES);
        memory.requireWritable("x", x, type, extent("stride", elements, stride, count));
        memory.requireReadable(
                "sums", sums, ElementType.F64, extent("sumsPerMatrix", sumsPerMatrix, sumsPerMatrix, count));
        memory.requireWritable("coefficients", coefficients, ElementType.F32, extent("coefficients", 3, 3, count));
        if (step != null) {
            requireStep(step);
        }
        context.check(
                Muonium.mu_newton_schulz_begin(
                        context.handle(),
                        start,
                        x,
                        NativeKernels.code(type),
                        elements,
                        stride,
                        count,
                        sums,
                        sumsPerMatrix,
                        coefficients,
                        orNull(step)),
                "mu_newton_schulz_begin");
    }

    /**
     * {@code C ← c0·I + c1·D + c2·A·Bᵀ} (or {@code Aᵀ·B}) for {@code count} symmetric results of {@code n × n}.
     *
     * @param transposed whether A and B are stored as {@code k × n}
     * @param d null for no such summand
     * @param coefficients three floats for each result, {@code coefficientStride} apart; 0 for the same three for all
     */
    public void symmetricProduct(
            ElementType type,
            boolean transposed,
            long n,
            long k,
            MemorySegment a,
            long lda,
            long aStride,
            MemorySegment b,
            long ldb,
            long bStride,
            @Nullable MemorySegment d,
            long ldd,
            long dStride,
            MemorySegment c,
            long ldc,
            long cStride,
            MemorySegment coefficients,
            long coefficientStride,
            long count) {
        long rows = transposed ? k : n;
        long cols = transposed ? n : k;
        memory.requireReadable("a", a, type, extent("aStride", matrix("a", rows, cols, lda), aStride, count));
        memory.requireReadable("b", b, type, extent("bStride", matrix("b", rows, cols, ldb), bStride, count));
        if (d != null) {
            memory.requireReadable("d", d, type, extent("dStride", matrix("d", n, n, ldd), dStride, count));
        }
        memory.requireWritable("c", c, type, extent("cStride", matrix("c", n, n, ldc), cStride, count));
        memory.requireReadable(
                "coefficients",
                coefficients,
                ElementType.F32,
                extent("coefficientStride", 3, coefficientStride, count));
        context.check(
                Muonium.mu_symmetric_product(
                        context.handle(),
                        NativeKernels.code(type),
                        transposed ? 1 : 0,
                        n,
                        k,
                        a,
                        lda,
                        aStride,
                        b,
                        ldb,
                        bStride,
                        orNull(d),
                        ldd,
                        dStride,
                        c,
                        ldc,
                        cStride,
                        coefficients,
                        coefficientStride,
                        count),
                "mu_symmetric_product");
    }

    /**
     * {@code out ← alpha·x} for {@code count} arrays of {@code elements} elements.
     *
     * @param alpha one float for each array, {@code alphaStride} apart; 0 for the same for all
     */
    public void scale(
            MemorySegment alpha,
            long alphaStride,
            MemorySegment x,
            long xStride,
            MemorySegment out,
            long outStride,
            ElementType type,
            long elements,
            long count) {
        memory.requireReadable("alpha", alpha, ElementType.F32, extent("alphaStride", 1, alphaStride, count));
        memory.requireReadable("x", x, type, extent("xStride", elements, xStride, count));
        memory.requireWritable("out", out, type, extent("outStride", elements, outStride, count));
        context.check(
                Muonium.mu_scale_many(
                        context.handle(),
                        alpha,
                        alphaStride,
                        x,
                        xStride,
                        out,
                        outStride,
                        NativeKernels.code(type),
                        elements,
                        count),
                "mu_scale_many");
    }

    private void requireRecords(String name, MemorySegment records, long count, long size) {
        if (count < 0 || count > Long.MAX_VALUE / size) {
            throw new IllegalArgumentException("count is " + count + "; it must be 0 or more, and what it counts have"
                    + " fewer bytes than a 64-bit count can hold");
        }
        memory.requireReadable(name, records, ElementType.I64, count * (size / Long.BYTES));
    }

    private static void requireChunks(long chunks, long count) {
        if (chunks < 0 || (count > 0 && chunks == 0)) {
            throw new IllegalArgumentException("chunks is " + chunks + " for " + count
                    + " arrays; it must be the chunks of all arrays together, of " + CHUNK + " elements each");
        }
    }

    private void requireStep(MemorySegment step) {
        memory.requireReadable("step", step, ElementType.F64, mu_step.sizeof() / Double.BYTES);
    }

    /** Elements from the first of {@code count} arrays to the end of the last; the largest number if there are more. */
    private static long extent(String name, long elements, long stride, long count) {
        if (elements < 0 || stride < 0 || count < 0) {
            throw new IllegalArgumentException(count + " arrays of " + elements + " elements, " + name + " " + stride
                    + ", are asked for; none of the three may be negative");
        }
        if (count == 0 || elements == 0) {
            return 0;
        }
        return stride > 0 && count - 1 > (Long.MAX_VALUE - elements) / stride
                ? Long.MAX_VALUE
                : (count - 1) * stride + elements;
    }

    private static long matrix(String name, long rows, long cols, long ld) {
        if (rows < 1 || cols < 1 || ld < cols) {
            throw new IllegalArgumentException("'" + name + "' is " + rows + "×" + cols + " with leading dimension "
                    + ld + "; extents must be at least 1 and the leading dimension at least the row length");
        }
        return BatchSpec.extent(rows, cols, ld);
    }

    private static MemorySegment orNull(@Nullable MemorySegment segment) {
        return segment == null ? MemorySegment.NULL : segment;
    }
}
