package dev.muonium.device;

import dev.muonium.bindings.mu.Muonium;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The kernels of a GPT between its matrix products. Arrays are dense, rows are tokens; {@code type} is that of weights, activations
 * and their gradients (F32, and BF16 on a CUDA device), tokens are I32, losses F64, everything else is F32. Formulas
 * are those of {@code native/include/muonium.h}, section "neural network". Each call runs on the calling thread alone, over a range of
 * rows or elements of arrays that are given by their base segments, and checks that the range lies within them; nothing is allocated.
 *
 * <p>Thread-safe: calls on disjoint ranges may run at the same time.
 *
 * <p>Every method throws {@link IllegalArgumentException} where a segment is too small for the range or is written and read-only, and {@link dev.muonium.NativeException} where
 * the native library refuses a number.
 */
public final class NetworkKernels {
    private final NativeContext context;
    private final DeviceMemory memory;

    NetworkKernels(NativeContext context, DeviceMemory memory) {
        this.context = context;
        this.memory = memory;
    }

    /** {@code y ← x·rstd}, {@code rstd[row] ← 1/√(mean(x²) + eps)}; {@code y} may be {@code x}. */
    public void rmsNorm(
            ElementType type,
            MemorySegment x,
            MemorySegment y,
            MemorySegment rstd,
            float eps,
            long cols,
            long rowBegin,
            long rowEnd) {
        requireRows("x", x, type, cols, rowBegin, rowEnd);
        requireWritableRows("y", y, type, cols, rowBegin, rowEnd);
        requireWritableRows("rstd", rstd, ElementType.F32, 1, rowBegin, rowEnd);
        context.check(
                Muonium.mu_rms_norm(
                        context.handle(), NativeKernels.code(type), x, y, rstd, eps, cols, rowBegin, rowEnd),
                "mu_rms_norm");
    }

    /** {@code dx ← add + rstd·(dy - y·mean(dy·y))} with {@code y = x·rstd}; {@code add} null is 0. */
    public void rmsNormBackward(
            ElementType type,
            MemorySegment dy,
            MemorySegment x,
            MemorySegment rstd,
            @Nullable MemorySegment add,
            MemorySegment dx,
            long cols,
            long rowBegin,
            long rowEnd) {
        requireRows("dy", dy, type, cols, rowBegin, rowEnd);
        requireRows("x", x, type, cols, rowBegin, rowEnd);
        requireRows("rstd", rstd, ElementType.F32, 1, rowBegin, rowEnd);
        if (add != null) {
            requireRows("add", add, type, cols, rowBegin, rowEnd);
        }
        requireWritableRows("dx", dx, type, cols, rowBegin, rowEnd);
        MemorySegment addOrNull = add == null ? MemorySegment.NULL : add;
        context.check(
                Muonium.mu_rms_norm_backward(
                        context.handle(), NativeKernels.code(type), dy, x, rstd, addOrNull, dx, cols, rowBegin, rowEnd),
                "mu_rms_norm_backward");
    }

    /** Rotary positions, then RMS normalization per head, in place; {@code table} is {@code positions × headDim}. */
    public void rotaryNorm(
            ElementType type,
            MemorySegment x,
            MemorySegment rstd,
            MemorySegment table,
            float eps,
            long heads,
            long headDim,
            long positions,
            long rowBegin,
            long rowEnd) {
        long width = requireHeads(heads, headDim, positions);
        requireWritableRows("x", x, type, width, rowBegin, rowEnd);
        requireWritableRows("rstd", rstd, ElementType.F32, heads, rowBegin, rowEnd);
        requireRows("table", table, ElementType.F32, headDim, 0, positions);
        context.check(
                Muonium.mu_rotary_norm(
                        context.handle(),
                        NativeKernels.code(type),
                        x,
                        rstd,
                        table,
                        eps,
                        heads,
                        headDim,
                        positions,
                        rowBegin,
                        rowEnd),
                "mu_rotary_norm");
    }

    /** The gradient behind {@link #rotaryNorm}, in place of {@code dy}; {@code y} and {@code rstd} are what that left. */
    public void rotaryNormBackward(
            ElementType type,
            MemorySegment y,
            MemorySegment rstd,
            MemorySegment table,
            MemorySegment dy,
            long heads,
            long headDim,
            long positions,
            long rowBegin,
            long rowEnd) {
        long width = requireHeads(heads, headDim, positions);
        requireRows("y", y, type, width, rowBegin, rowEnd);
        requireRows("rstd", rstd, ElementType.F32, heads, rowBegin, rowEnd);
        requireRows("table", table, ElementType.F32, headDim, 0, positions);
        requireWritableRows("dy", dy, type, width, rowBegin, rowEnd);
        context.check(
                Muonium.mu_rotary_norm_backward(
                        context.handle(),
                        NativeKernels.code(type),
                        y,
                        rstd,
                        table,
                        dy,
                        heads,
                        headDim,
                        positions,
                        rowBegin,
                        rowEnd),
                "mu_rotary_norm_backward");
    }

    /** Causal softmax of rows of scores, the first of which is the query at position {@code first}. */
    public void softmaxCausal(
            MemorySegment scores,
            long ld,
            float scale,
            MemorySegment lse,
            long lseBegin,
            long first,
            long cols,
            long rowBegin,
            long rowEnd) {
        requirePositions(first, rowEnd);
        requireWritableRows("scores", scores, ElementType.F32, ld, rowBegin, rowEnd);
        requireWritableRows("lse", lse, ElementType.F32, 1, sum(lseBegin, rowBegin), sum(lseBegin, rowEnd));
        context.check(
                Muonium.mu_softmax_causal(
                        context.handle(), scores, ld, scale, lse, lseBegin, first, cols, rowBegin, rowEnd),
                "mu_softmax_causal");
    }

    /** {@code scores} become probabilities again and {@code d} the gradient with respect to the scores. */
    public void softmaxCausalBackward(
            MemorySegment scores,
            MemorySegment d,
            long ld,
            float scale,
            MemorySegment lse,
            MemorySegment delta,
            long lseBegin,
            long first,
            long cols,
            long rowBegin,
            long rowEnd) {
        requirePositions(first, rowEnd);
        requireWritableRows("scores", scores, ElementType.F32, ld, rowBegin, rowEnd);
        requireWritableRows("d", d, ElementType.F32, ld, rowBegin, rowEnd);
        requireRows("lse", lse, ElementType.F32, 1, sum(lseBegin, rowBegin), sum(lseBegin, rowEnd));
        requireRows("delta", delta, ElementType.F32, 1, sum(lseBegin, rowBegin), sum(lseBegin, rowEnd));
        context.check(
                Muonium.mu_softmax_causal_backward(
                        context.handle(), scores, d, ld, scale, lse, delta, lseBegin, first, cols, rowBegin, rowEnd),
                "mu_softmax_causal_backward");
    }

    /** Dot products per head of two arrays of {@code rows × heads × headDim}; {@code out} is {@code sequences × heads × positions}. */
    public void headDots(
            ElementType type,
            MemorySegment x,
            MemorySegment y,
            MemorySegment out,
            long heads,
            long headDim,
            long positions,
            long rowBegin,
            long rowEnd) {
        long width = requireHeads(heads, headDim, positions);
        requireRows("x", x, type, width, rowBegin, rowEnd);
        requireRows("y", y, type, width, rowBegin, rowEnd);
        // Rows of one sequence are spread over all of its heads.
        requireWritableRows(
                "out",
                out,
                ElementType.F32,
                product(heads, positions),
                0,
                Math.ceilDiv(Math.max(rowEnd, 0), positions));
        context.check(
                Muonium.mu_head_dots(
                        context.handle(),
                        NativeKernels.code(type),
                        x,
                        y,
                        out,
                        heads,
                        headDim,
                        positions,
                        rowBegin,
                        rowEnd),
                "mu_head_dots");
    }

    /**
     * Causal grouped-query attention of whole sequences, without an array of {@code positions × positions}.
     *
     * @param type the type of q, k, v and o
     * @param q {@code rows × heads × headDim}, rows being those of all sequences
     * @param k {@code rows × kvHeads × headDim}; so is {@code v}
     * @param o as {@code q}
     * @param lse {@code sequences × heads × positions}, kept for {@link #attentionBackward}
     */
    public void attention(
            ElementType type,
            MemorySegment q,
            MemorySegment k,
            MemorySegment v,
            MemorySegment o,
            MemorySegment lse,
            float scale,
            long heads,
            long kvHeads,
            long headDim,
            long positions,
            long sequenceBegin,
            long sequenceEnd) {
        requireRange("q", sequenceBegin, sequenceEnd);
        long wide = product(sequenceEnd, product(positions, requireHeads(heads, headDim, positions)));
        long narrow = product(sequenceEnd, product(positions, requireHeads(kvHeads, headDim, positions)));
        memory.requireReadable("q", q, type, wide);
        memory.requireReadable("k", k, type, narrow);
        memory.requireReadable("v", v, type, narrow);
        memory.requireWritable("o", o, type, wide);
        memory.requireWritable("lse", lse, ElementType.F32, product(sequenceEnd, product(heads, positions)));
        context.check(
                Muonium.mu_attention(
                        context.handle(),
                        NativeKernels.code(type),
                        q,
                        k,
                        v,
                        o,
                        lse,
                        scale,
                        heads,
                        kvHeads,
                        headDim,
                        positions,
                        sequenceBegin,
                        sequenceEnd),
                "mu_attention");
    }

    /**
     * The gradients behind {@link #attention}.
     *
     * @param gradient the gradient with respect to {@code o}
     * @param delta what {@link #headDots} gives for {@code o} and its gradient
     */
    public void attentionBackward(
            ElementType type,
            MemorySegment q,
            MemorySegment k,
            MemorySegment v,
            MemorySegment lse,
            MemorySegment gradient,
            MemorySegment delta,
            MemorySegment dq,
            MemorySegment dk,
            MemorySegment dv,
            float scale,
            long heads,
            long kvHeads,
            long headDim,
            long positions,
            long sequenceBegin,
            long sequenceEnd) {
        requireRange("q", sequenceBegin, sequenceEnd);
        long wide = product(sequenceEnd, product(positions, requireHeads(heads, headDim, positions)));
        long narrow = product(sequenceEnd, product(positions, requireHeads(kvHeads, headDim, positions)));
        long rows = product(sequenceEnd, product(heads, positions));
        memory.requireReadable("q", q, type, wide);
        memory.requireReadable("k", k, type, narrow);
        memory.requireReadable("v", v, type, narrow);
        memory.requireReadable("lse", lse, ElementType.F32, rows);
        memory.requireReadable("gradient", gradient, type, wide);
        memory.requireReadable("delta", delta, ElementType.F32, rows);
        memory.requireWritable("dq", dq, type, wide);
        memory.requireWritable("dk", dk, type, narrow);
        memory.requireWritable("dv", dv, type, narrow);
        context.check(
                Muonium.mu_attention_backward(
                        context.handle(),
                        NativeKernels.code(type),
                        q,
                        k,
                        v,
                        lse,
                        gradient,
                        delta,
                        dq,
                        dk,
                        dv,
                        scale,
                        heads,
                        kvHeads,
                        headDim,
                        positions,
                        sequenceBegin,
                        sequenceEnd),
                "mu_attention_backward");
    }

    /** {@code a ← max(u, 0)²}. */
    public void relu2(ElementType type, MemorySegment u, MemorySegment a, long begin, long end) {
        requireRows("u", u, type, 1, begin, end);
        requireWritableRows("a", a, type, 1, begin, end);
        context.check(Muonium.mu_relu2(context.handle(), NativeKernels.code(type), u, a, begin, end), "mu_relu2");
    }

    /** {@code a} holds da: {@code u ← du}, {@code a ← max(u, 0)²}. */
    public void relu2Backward(ElementType type, MemorySegment u, MemorySegment a, long begin, long end) {
        requireWritableRows("u", u, type, 1, begin, end);
        requireWritableRows("a", a, type, 1, begin, end);
        context.check(
                Muonium.mu_relu2_backward(context.handle(), NativeKernels.code(type), u, a, begin, end),
                "mu_relu2_backward");
    }

    /** {@code a ← silu(gate)·up}. */
    public void swiglu(ElementType type, MemorySegment gate, MemorySegment up, MemorySegment a, long begin, long end) {
        requireRows("gate", gate, type, 1, begin, end);
        requireRows("up", up, type, 1, begin, end);
        requireWritableRows("a", a, type, 1, begin, end);
        context.check(
                Muonium.mu_swiglu(context.handle(), NativeKernels.code(type), gate, up, a, begin, end), "mu_swiglu");
    }

    /** {@code a} holds da: {@code gate ← dgate}, {@code up ← dup}, {@code a ← silu(gate)·up}. */
    public void swigluBackward(
            ElementType type, MemorySegment gate, MemorySegment up, MemorySegment a, long begin, long end) {
        requireWritableRows("gate", gate, type, 1, begin, end);
        requireWritableRows("up", up, type, 1, begin, end);
        requireWritableRows("a", a, type, 1, begin, end);
        context.check(
                Muonium.mu_swiglu_backward(context.handle(), NativeKernels.code(type), gate, up, a, begin, end),
                "mu_swiglu_backward");
    }

    /** Soft-capped cross-entropy per row, in nats; the logits become the capped ones. */
    public void crossEntropy(
            ElementType type,
            MemorySegment logits,
            float cap,
            MemorySegment targets,
            MemorySegment losses,
            long targetBegin,
            long cols,
            long rowBegin,
            long rowEnd) {
        requireLoss(type, logits, targets, losses, targetBegin, cols, rowBegin, rowEnd);
        context.check(
                Muonium.mu_cross_entropy(
                        context.handle(),
                        NativeKernels.code(type),
                        logits,
                        cap,
                        targets,
                        losses,
                        targetBegin,
                        cols,
                        rowBegin,
                        rowEnd),
                "mu_cross_entropy");
    }

    /** The same losses; the logits become {@code gradientScale} times the gradient with respect to the logits before the cap. */
    public void crossEntropyBackward(
            ElementType type,
            MemorySegment logits,
            float cap,
            MemorySegment targets,
            MemorySegment losses,
            long targetBegin,
            float gradientScale,
            long cols,
            long rowBegin,
            long rowEnd) {
        requireLoss(type, logits, targets, losses, targetBegin, cols, rowBegin, rowEnd);
        context.check(
                Muonium.mu_cross_entropy_backward(
                        context.handle(),
                        NativeKernels.code(type),
                        logits,
                        cap,
                        targets,
                        losses,
                        targetBegin,
                        gradientScale,
                        cols,
                        rowBegin,
                        rowEnd),
                "mu_cross_entropy_backward");
    }

    /** {@code out[row] ← table[tokens[row]]}; {@code table} is {@code vocab × cols}. */
    public void gatherRows(
            ElementType type,
            MemorySegment table,
            MemorySegment tokens,
            MemorySegment out,
            long vocab,
            long cols,
            long rowBegin,
            long rowEnd) {
        requireRows("table", table, type, cols, 0, vocab);
        requireElements("tokens", tokens, ElementType.I32, rowBegin, rowEnd);
        requireWritableRows("out", out, type, cols, rowBegin, rowEnd);
        context.check(
                Muonium.mu_gather_rows(
                        context.handle(), NativeKernels.code(type), table, tokens, out, vocab, cols, rowBegin, rowEnd),
                "mu_gather_rows");
    }

    /** {@code table[tokens[row]] += rows[row]} in the order of rows, for tokens within {@code [vocabBegin, vocabEnd)}. */
    public void scatterAddRows(
            ElementType type,
            MemorySegment rows,
            MemorySegment tokens,
            long count,
            MemorySegment table,
            ElementType tableType,
            long cols,
            long vocabBegin,
            long vocabEnd) {
        requireRows("rows", rows, type, cols, 0, count);
        requireElements("tokens", tokens, ElementType.I32, 0, count);
        requireWritableRows("table", table, tableType, cols, vocabBegin, vocabEnd);
        context.check(
                Muonium.mu_scatter_add_rows(
                        context.handle(),
                        NativeKernels.code(type),
                        rows,
                        tokens,
                        count,
                        table,
                        NativeKernels.code(tableType),
                        cols,
                        vocabBegin,
                        vocabEnd),
                "mu_scatter_add_rows");
    }

    private void requireLoss(
            ElementType type,
            MemorySegment logits,
            MemorySegment targets,
            MemorySegment losses,
            long targetBegin,
            long cols,
            long rowBegin,
            long rowEnd) {
        requireWritableRows("logits", logits, type, cols, rowBegin, rowEnd);
        requireElements("targets", targets, ElementType.I32, sum(targetBegin, rowBegin), sum(targetBegin, rowEnd));
        requireElements("losses", losses, ElementType.F64, sum(targetBegin, rowBegin), sum(targetBegin, rowEnd));
        memory.requireWritable("losses", losses, ElementType.F64, 0);
    }

    /** Checks what indices are made of, and returns the width of a row of all heads. */
    private static long requireHeads(long heads, long headDim, long positions) {
        requirePositive("heads", heads);
        requirePositive("headDim", headDim);
        requirePositive("positions", positions);
        return product(heads, headDim);
    }

    private static void requirePositive(String name, long value) {
        if (value < 1) {
            throw new IllegalArgumentException(name + " is " + value + "; it must be 1 or more");
        }
    }

    /** A position beyond the largest number would wrap around to before the beginning of a row. */
    private static void requirePositions(long first, long rowEnd) {
        if (first < 0 || first >= Long.MAX_VALUE - Math.max(rowEnd, 0)) {
            throw new IllegalArgumentException("first is " + first + ", and the rows end at " + rowEnd
                    + "; first must be 0 or more, and both together a position");
        }
    }

    private void requireWritableRows(
            String name, MemorySegment segment, ElementType type, long cols, long rowBegin, long rowEnd) {
        requireRows(name, segment, type, cols, rowBegin, rowEnd);
        memory.requireWritable(name, segment, type, 0);
    }

    private void requireRows(
            String name, MemorySegment segment, ElementType type, long cols, long rowBegin, long rowEnd) {
        requireRange(name, rowBegin, rowEnd);
        if (cols < 0) {
            throw new IllegalArgumentException(
                    "a row of '" + name + "' has " + cols + " elements; it must be 0 or more");
        }
        memory.requireReadable(name, segment, type, product(rowEnd, cols));
    }

    private void requireElements(String name, MemorySegment segment, ElementType type, long begin, long end) {
        requireRange(name, begin, end);
        memory.requireReadable(name, segment, type, end);
    }

    private static void requireRange(String name, long begin, long end) {
        if (begin < 0 || begin > end) {
            throw new IllegalArgumentException("the range " + begin + " to " + end + " of '" + name
                    + "' does not lie in the order 0 <= begin <= end");
        }
    }

    /** Of two numbers that are not negative; the largest number where the product is larger, which no segment holds. */
    private static long product(long a, long b) {
        return a != 0 && b > Long.MAX_VALUE / a ? Long.MAX_VALUE : a * b;
    }

    /** The largest number where the sum is larger. */
    private static long sum(long a, long b) {
        return a > 0 && b > Long.MAX_VALUE - a ? Long.MAX_VALUE : a + b;
    }
}
