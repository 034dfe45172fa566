package dev.muonium.device;

import dev.muonium.bindings.mu.Muonium;
import dev.muonium.bindings.mu.mu_adamw_params;
import dev.muonium.bindings.mu.mu_rounding;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Segments;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** The kernels of {@code libmuonium.so}: bounds are checked here, beside each call; the rest is checked by the callee. */
final class NativeKernels implements Kernels {
    private final NativeContext context;
    private final DeviceMemory memory;
    private final Allocator settings;
    private final SumPlace sums;

    /**
     * @param memory where arrays lie
     * @param settings where scalars that are passed by address lie: always the host's memory
     */
    NativeKernels(NativeContext context, DeviceMemory memory, Allocator settings, SumPlace sums) {
        this.context = context;
        this.memory = memory;
        this.settings = settings;
        this.sums = sums;
    }

    @Override
    public void quantize(
            BlockFormat format,
            int block,
            MemorySegment x,
            ElementType xType,
            MemorySegment codes,
            @Nullable MemorySegment scales,
            long begin,
            long end) {
        memory.requireReadable("x", x, xType, end);
        requireState("codes", "scales", format, block, codes, scales, end);
        context.check(
                Muonium.mu_quantize(
                        context.handle(), code(format), block, x, code(xType), codes, orNull(scales), begin, end),
                "mu_quantize");
    }

    @Override
    public void fp8Operand(
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
            long scalesLd) {
        memory.requireReadable("x", x, xType, extent(cols, cols, rows));
        memory.requireWritable("codes", codes, ElementType.U8, extent(codesLd, codesLd, codesRows));
        memory.requireWritable("scales", scales, ElementType.F32, fp8Scales(scaling, codesLd, codesRows, scalesLd));
        context.check(
                Muonium.mu_fp8_operand(
                        context.handle(),
                        code(format),
                        scaling,
                        transposed ? 1 : 0,
                        x,
                        code(xType),
                        cols,
                        rows,
                        cols,
                        codes,
                        codesLd,
                        codesRows,
                        scales,
                        scalesLd),
                "mu_fp8_operand");
    }

    private static long fp8Scales(int scaling, long codesLd, long codesRows, long scalesLd) {
        long blocks = (codesLd + Fp8Spec.BLOCK - 1) / Fp8Spec.BLOCK;
        if (scaling == Muonium.MU_SCALING_VECTORS()) {
            return extent(scalesLd, codesRows, blocks);
        }
        return scaling == Muonium.MU_SCALING_SQUARES()
                ? extent(scalesLd, blocks, (codesRows + Fp8Spec.BLOCK - 1) / Fp8Spec.BLOCK)
                : 2;
    }

    @Override
    public void dequantize(
            BlockFormat format,
            int block,
            MemorySegment codes,
            @Nullable MemorySegment scales,
            MemorySegment out,
            ElementType outType,
            long begin,
            long end) {
        memory.requireReadable("codes", codes, format.codeType(), end);
        requireScales("scales", format, block, scales, end, false);
        memory.requireWritable("out", out, outType, end);
        context.check(
                Muonium.mu_dequantize(
                        context.handle(), code(format), block, codes, orNull(scales), out, code(outType), begin, end),
                "mu_dequantize");
    }

    @Override
    public float[] dynamicMap(BlockFormat format) {
        if (format != BlockFormat.INT8_DYNAMIC_SIGNED && format != BlockFormat.INT8_DYNAMIC_UNSIGNED) {
            throw new IllegalArgumentException(
                    format + " has no dynamic map; INT8_DYNAMIC_SIGNED and INT8_DYNAMIC_UNSIGNED have");
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment map = arena.allocate(ValueLayout.JAVA_FLOAT, 256);
            context.check(Muonium.mu_dynamic_map(code(format), map), "mu_dynamic_map");
            return map.toArray(ValueLayout.JAVA_FLOAT);
        }
    }

    @Override
    public double sumSquares(MemorySegment x, ElementType type, long begin, long end) {
        memory.requireReadable("x", x, type, end);
        MemorySegment sum = sums.take();
        try {
            context.check(Muonium.mu_sum_squares(context.handle(), x, code(type), begin, end, sum), "mu_sum_squares");
            return sums.read(sum);
        } finally {
            sums.give();
        }
    }

    @Override
    public void scale(
            float alpha,
            MemorySegment x,
            ElementType xType,
            long xLd,
            MemorySegment out,
            ElementType outType,
            long outLd,
            long cols,
            long rowBegin,
            long rowEnd) {
        memory.requireReadable("x", x, xType, extent(xLd, cols, rowEnd));
        memory.requireWritable("out", out, outType, extent(outLd, cols, rowEnd));
        context.check(
                Muonium.mu_scale(
                        context.handle(),
                        alpha,
                        x,
                        code(xType),
                        xLd,
                        out,
                        code(outType),
                        outLd,
                        cols,
                        rowBegin,
                        rowEnd),
                "mu_scale");
    }

    @Override
    public void axpby(
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
            long rowEnd) {
        memory.requireReadable("x", x, xType, extent(xLd, cols, rowEnd));
        memory.requireReadable("y", y, yType, extent(yLd, cols, rowEnd));
        memory.requireWritable("out", out, outType, extent(outLd, cols, rowEnd));
        context.check(
                Muonium.mu_axpby(
                        context.handle(),
                        alpha,
                        x,
                        code(xType),
                        xLd,
                        beta,
                        y,
                        code(yType),
                        yLd,
                        out,
                        code(outType),
                        outLd,
                        cols,
                        rowBegin,
                        rowEnd),
                "mu_axpby");
    }

    @Override
    public void mirrorUpper(MemorySegment x, ElementType type, long ld, long rowBegin, long rowEnd) {
        memory.requireWritable("x", x, type, extent(ld, rowEnd, rowEnd));
        context.check(
                Muonium.mu_mirror_upper(context.handle(), x, code(type), ld, rowBegin, rowEnd), "mu_mirror_upper");
    }

    @Override
    public void packPanels(
            float factor,
            MemorySegment x,
            long rows,
            long cols,
            MemorySegment panels,
            MemorySegment transposed,
            long rowBegin,
            long rowEnd) {
        memory.requireReadable("x", x, ElementType.BF16, extent(cols, cols, rowEnd));
        memory.requireWritable("panels", panels, ElementType.BF16, PanelProduct.elements(rows, cols));
        memory.requireWritable("transposed", transposed, ElementType.BF16, PanelProduct.elements(cols, rows));
        context.check(
                Muonium.mu_pack_panels(
                        context.handle(), factor, x, cols, rows, cols, panels, transposed, rowBegin, rowEnd),
                "mu_pack_panels");
    }

    @Override
    public void multiplyPanels(PanelProduct product, long rowBegin, long rowEnd, long colBegin, long colEnd) {
        context.check(product.run(context.handle(), rowBegin, rowEnd, colBegin, colEnd), "mu_multiply_panels");
    }

    @Override
    public double muonMomentum(
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
            long end) {
        memory.requireReadable("gradient", gradient, gradientType, end);
        requireState("momentum", "scales", format.requireOptimizerState("momentum"), block, momentum, scales, end);
        memory.requireWritable("update", update, updateType, end);
        MemorySegment sum = sums.take();
        try {
            context.check(
                    Muonium.mu_muon_momentum(
                            context.handle(),
                            code(format),
                            block,
                            gradient,
                            code(gradientType),
                            gradientScale,
                            momentum,
                            orNull(scales),
                            update,
                            code(updateType),
                            beta,
                            nesterov ? 1 : 0,
                            begin,
                            end,
                            sum),
                    "mu_muon_momentum");
            return sums.read(sum);
        } finally {
            sums.give();
        }
    }

    @Override
    public void muonUpdate(
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
            long rowEnd) {
        memory.requireWritable("weights", weights, weightType, extent(weightLd, cols, rowEnd));
        requireMaster(master, extent(cols, cols, rowEnd));
        memory.requireReadable("o", o, oType, extent(oLd, cols, rowEnd));
        context.check(
                Muonium.mu_muon_update(
                        context.handle(),
                        weights,
                        code(weightType),
                        weightLd,
                        orNull(master),
                        o,
                        code(oType),
                        oLd,
                        decay,
                        rate,
                        key(rounding),
                        cols,
                        rowBegin,
                        rowEnd),
                "mu_muon_update");
    }

    @Override
    public void adamW(
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
            long end) {
        MemorySegment scalars = parameters.segment();
        Segments.requireOffHeap("parameters", scalars, ElementType.F64, mu_adamw_params.sizeof() / Double.BYTES);
        memory.requireWritable("weights", weights, weightType, end);
        requireMaster(master, end);
        memory.requireReadable("gradient", gradient, gradientType, end);
        requireState("m", "mScales", mFormat.requireOptimizerState("m"), block, m, mScales, end);
        requireState("v", "vScales", vFormat.requireOptimizerState("v"), block, v, vScales, end);
        context.check(
                Muonium.mu_adamw(
                        context.handle(),
                        scalars,
                        block,
                        weights,
                        code(weightType),
                        orNull(master),
                        gradient,
                        code(gradientType),
                        code(mFormat),
                        m,
                        orNull(mScales),
                        code(vFormat),
                        v,
                        orNull(vScales),
                        key(rounding),
                        begin,
                        end),
                "mu_adamw");
    }

    @Override
    public Rounding newRounding() {
        return new NativeRounding(settings);
    }

    @Override
    public AdamWParameters newAdamWParameters() {
        return new NativeAdamWParameters(settings);
    }

    /** Elements from the beginning of a matrix to the end of its last row; a product too large to hold is the largest. */
    private static long extent(long ld, long cols, long rowEnd) {
        if (rowEnd <= 0 || cols <= 0) {
            return 0; // nothing is touched, or the callee refuses it
        }
        long rows = rowEnd - 1;
        return ld > 0 && rows > (Long.MAX_VALUE - cols) / ld ? Long.MAX_VALUE : rows * ld + cols;
    }

    private void requireState(
            String name,
            String scalesName,
            BlockFormat format,
            int block,
            MemorySegment codes,
            @Nullable MemorySegment scales,
            long end) {
        memory.requireWritable(name, codes, format.codeType(), end);
        requireScales(scalesName, format, block, scales, end, true);
    }

    private void requireScales(
            String name, BlockFormat format, int block, @Nullable MemorySegment scales, long end, boolean written) {
        BlockFormat.requireBlock(block);
        if (!format.isScaled()) {
            return;
        }
        if (scales == null) {
            throw new IllegalArgumentException("'" + name + "' is null, but " + format + " has one scale per block");
        }
        memory.requireReadable(name, scales, ElementType.F32, format.scales(end, block));
        if (written) {
            memory.requireWritable(name, scales, ElementType.F32, 0);
        }
    }

    private void requireMaster(@Nullable MemorySegment master, long elements) {
        if (master != null) {
            memory.requireWritable("master", master, ElementType.F32, elements);
        }
    }

    private static MemorySegment key(@Nullable Rounding rounding) {
        if (rounding == null) {
            return MemorySegment.NULL;
        }
        MemorySegment key = rounding.segment();
        Segments.requireOffHeap("rounding", key, ElementType.I64, mu_rounding.sizeof() / Long.BYTES);
        return key;
    }

    private static MemorySegment orNull(@Nullable MemorySegment segment) {
        return segment == null ? MemorySegment.NULL : segment;
    }

    static int code(ElementType type) {
        return switch (type) {
            case F32 -> Muonium.MU_F32();
            case BF16 -> Muonium.MU_BF16();
            default -> throw new IllegalArgumentException("a kernel takes F32 or BF16, not " + type);
        };
    }

    static int code(BlockFormat format) {
        return switch (format) {
            case F32 -> Muonium.MU_FORMAT_F32();
            case INT8_LINEAR -> Muonium.MU_FORMAT_INT8_LINEAR();
            case INT8_DYNAMIC_SIGNED -> Muonium.MU_FORMAT_INT8_DYNAMIC_SIGNED();
            case INT8_DYNAMIC_UNSIGNED -> Muonium.MU_FORMAT_INT8_DYNAMIC_UNSIGNED();
            case FP8_E4M3 -> Muonium.MU_FORMAT_FP8_E4M3();
            case FP8_E5M2 -> Muonium.MU_FORMAT_FP8_E5M2();
        };
    }
}
