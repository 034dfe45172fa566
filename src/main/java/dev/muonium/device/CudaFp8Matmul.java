package dev.muonium.device;

import dev.muonium.bindings.mu.Muonium;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** An FP8 product by cublasLt: operands by our kernels, scales in the layouts that cublasLt reads. */
final class CudaFp8Matmul implements Fp8Matmul {
    private static final long ALIGNMENT = 16;

    /** What cublasLt's heuristics take for granted of operands unless they are told otherwise. */
    private static final long OPERAND_ALIGNMENT = 256;

    private final CudaLt lt;
    private final CudaMemory memory;
    private final Kernels kernels;
    private final Fp8Spec spec;
    private final CudaLtPlan plan;

    private CudaFp8Matmul(CudaLt lt, CudaMemory memory, Kernels kernels, Fp8Spec spec, CudaLtPlan plan) {
        this.lt = lt;
        this.memory = memory;
        this.kernels = kernels;
        this.spec = spec;
        this.plan = plan;
    }

    /**
     * A product with the finest scales that cublasLt has an algorithm for.
     *
     * @param finest the finest that the device has
     */
    static CudaFp8Matmul of(CudaLt lt, CudaMemory memory, Kernels kernels, Fp8Spec spec, Fp8Scaling finest) {
        CudaLtPlan plan = lt.plan(spec, finest);
        if (plan == null && finest == Fp8Scaling.BLOCKS) {
            plan = lt.plan(spec, Fp8Scaling.TENSOR);
        }
        if (plan == null) {
            throw new UnsupportedOperationException("cublasLt has no FP8 product of " + spec.m() + "×" + spec.n() + "×"
                    + spec.k() + " from " + spec.aFormat() + " and " + spec.bFormat() + " into " + spec.cType()
                    + "; use BF16");
        }
        return new CudaFp8Matmul(lt, memory, kernels, spec, plan);
    }

    @Override
    public Fp8Spec spec() {
        return spec;
    }

    @Override
    public Fp8Scaling scaling() {
        return plan.scaling();
    }

    private int aScaling() {
        return scaling() == Fp8Scaling.TENSOR ? Muonium.MU_SCALING_TENSOR() : Muonium.MU_SCALING_VECTORS();
    }

    private int bScaling() {
        return scaling() == Fp8Scaling.BLOCKS && spec.squares() ? Muonium.MU_SCALING_SQUARES() : aScaling();
    }

    private Fp8Operand.Content contentA(MemorySegment x, boolean transposed) {
        return content(x, spec.aFormat(), aScaling(), transposed, spec.m(), spec.paddedM());
    }

    private Fp8Operand.Content contentB(MemorySegment x, boolean transposed) {
        return content(x, spec.bFormat(), bScaling(), transposed, spec.n(), spec.paddedN());
    }

    private Fp8Operand.Content content(
            MemorySegment x, BlockFormat format, int scaling, boolean transposed, long rows, long paddedRows) {
        return new Fp8Operand.Content(
                x.address(), format, scaling, transposed, rows, spec.k(), paddedRows, spec.paddedK());
    }

    @Override
    public void codeA(Fp8Operand operand, MemorySegment x, ElementType type, boolean transposed) {
        code(operand, x, type, contentA(x, transposed), spec.paddedM());
    }

    @Override
    public void codeB(Fp8Operand operand, MemorySegment x, ElementType type, boolean transposed) {
        boolean squares = bScaling() == Muonium.MU_SCALING_SQUARES();
        code(operand, x, type, contentB(x, transposed), squares ? spec.squareStride() : spec.paddedN());
    }

    /** {@code scalesLd}: exactly what cublasLt takes for granted (cuBLAS documentation, "Scaling Factors Layouts"). */
    private void code(
            Fp8Operand operand, MemorySegment x, ElementType type, Fp8Operand.Content content, long scalesLd) {
        requireAligned("codes", operand.codes());
        requireAligned("scales", operand.scales());
        operand.content(null);
        boolean transposed = content.transposed();
        kernels.fp8Operand(
                content.format(),
                content.scaling(),
                transposed,
                x,
                type,
                transposed ? content.cols() : content.rows(),
                transposed ? content.rows() : content.cols(),
                operand.codes(),
                content.paddedCols(),
                content.paddedRows(),
                operand.scales(),
                scalesLd);
        operand.content(content);
    }

    private static void requireAligned(String name, MemorySegment segment) {
        if (segment.address() % OPERAND_ALIGNMENT != 0) {
            throw new IllegalArgumentException("the " + name + " of an FP8 operand are "
                    + segment.address() % OPERAND_ALIGNMENT + " bytes from a multiple of " + OPERAND_ALIGNMENT
                    + "; give them a tensor of their own");
        }
    }

    @Override
    public boolean holdsA(Fp8Operand operand, MemorySegment x, boolean transposed) {
        return contentA(x, transposed).equals(operand.content());
    }

    @Override
    public boolean holdsB(Fp8Operand operand, MemorySegment x, boolean transposed) {
        return contentB(x, transposed).equals(operand.content());
    }

    @Override
    public void run(Fp8Operand a, Fp8Operand b, MemorySegment c, @Nullable MemorySegment beside) {
        requireCoded("A", a, spec.aFormat(), aScaling(), spec.m(), spec.paddedM());
        requireCoded("B", b, spec.bFormat(), bScaling(), spec.n(), spec.paddedN());
        memory.requireWritable("c", c, spec.cType(), spec.m() * spec.n());
        if (!spec.isPadded() && c.address() % ALIGNMENT == 0) {
            lt.run(plan, b, a, c.address(), spec.accumulate());
            return;
        }
        if (beside == null) {
            throw new IllegalArgumentException("C is " + spec.m() + "×" + spec.n() + " of " + spec.cType() + " at "
                    + c.address() % ALIGNMENT + " bytes from a multiple of " + ALIGNMENT
                    + ", which tensor cores cannot write in place; give memory to compute it beside its place");
        }
        memory.requireWritable("beside", beside, spec.cType(), spec.resultElements());
        lt.run(plan, b, a, beside.address(), false);
        toItsPlace(beside, c);
    }

    private void toItsPlace(MemorySegment beside, MemorySegment c) {
        ElementType type = spec.cType();
        long n = spec.n();
        if (spec.accumulate()) {
            kernels.axpby(1, beside, type, spec.paddedN(), 1, c, type, n, c, type, n, n, 0, spec.m());
        } else {
            kernels.scale(1, beside, type, spec.paddedN(), c, type, n, n, 0, spec.m());
        }
    }

    private void requireCoded(
            String matrix, Fp8Operand operand, BlockFormat format, int scaling, long rows, long paddedRows) {
        Fp8Operand.Content held = operand.content();
        boolean fits = held != null
                && held.format() == format
                && held.scaling() == scaling
                && held.rows() == rows
                && held.cols() == spec.k()
                && held.paddedRows() == paddedRows;
        if (!fits) {
            throw new IllegalStateException("the operand " + matrix + " of an FP8 product holds "
                    + (held == null
                            ? "nothing"
                            : held.format() + " " + held.rows() + "×" + held.cols() + ", padded to "
                                    + held.paddedRows())
                    + "; the product needs " + format + " " + rows + "×" + spec.k() + ", padded to " + paddedRows
                    + ", coded by itself or by a product with the same operand");
        }
    }
}
