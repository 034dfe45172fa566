package dev.muonium.device;

import dev.muonium.bindings.cublas.Cublas;
import dev.muonium.memory.ElementType;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * Products by cuBLAS, which stores matrices by columns. What is stored by rows with a leading dimension is, by columns, the transposed
 * matrix; so {@code Cᵀ = op(B)ᵀ·op(A)ᵀ} is asked for, with A and B exchanged and each transposed as the specification says.
 */
final class CudaMatmul implements Matmul, BatchedMatmul {
    /**
     * The two functions with addresses as numbers: the generated bindings take segments, and a segment at an offset would be garbage
     * of every run.
     */
    private static final class Calls {
        static final MethodHandle ONE = Linker.nativeLinker()
                .downcallHandle(
                        Cublas.cublasGemmEx_64$address(),
                        FunctionDescriptor.of(
                                ValueLayout.JAVA_INT,
                                ValueLayout.ADDRESS, // handle
                                ValueLayout.JAVA_INT, // transa
                                ValueLayout.JAVA_INT, // transb
                                ValueLayout.JAVA_LONG, // m
                                ValueLayout.JAVA_LONG, // n
                                ValueLayout.JAVA_LONG, // k
                                ValueLayout.ADDRESS, // alpha
                                ValueLayout.JAVA_LONG, // A
                                ValueLayout.JAVA_INT, // its type
                                ValueLayout.JAVA_LONG, // lda
                                ValueLayout.JAVA_LONG, // B
                                ValueLayout.JAVA_INT, // its type
                                ValueLayout.JAVA_LONG, // ldb
                                ValueLayout.ADDRESS, // beta
                                ValueLayout.JAVA_LONG, // C
                                ValueLayout.JAVA_INT, // its type
                                ValueLayout.JAVA_LONG, // ldc
                                ValueLayout.JAVA_INT, // compute type
                                ValueLayout.JAVA_INT)); // algorithm
        static final MethodHandle MANY = Linker.nativeLinker()
                .downcallHandle(
                        Cublas.cublasGemmStridedBatchedEx_64$address(),
                        FunctionDescriptor.of(
                                ValueLayout.JAVA_INT,
                                ValueLayout.ADDRESS, // handle
                                ValueLayout.JAVA_INT, // transa
                                ValueLayout.JAVA_INT, // transb
                                ValueLayout.JAVA_LONG, // m
                                ValueLayout.JAVA_LONG, // n
                                ValueLayout.JAVA_LONG, // k
                                ValueLayout.ADDRESS, // alpha
                                ValueLayout.JAVA_LONG, // A
                                ValueLayout.JAVA_INT, // its type
                                ValueLayout.JAVA_LONG, // lda
                                ValueLayout.JAVA_LONG, // its stride
                                ValueLayout.JAVA_LONG, // B
                                ValueLayout.JAVA_INT, // its type
                                ValueLayout.JAVA_LONG, // ldb
                                ValueLayout.JAVA_LONG, // its stride
                                ValueLayout.ADDRESS, // beta
                                ValueLayout.JAVA_LONG, // C
                                ValueLayout.JAVA_INT, // its type
                                ValueLayout.JAVA_LONG, // ldc
                                ValueLayout.JAVA_LONG, // its stride
                                ValueLayout.JAVA_LONG, // batch count
                                ValueLayout.JAVA_INT, // compute type
                                ValueLayout.JAVA_INT)); // algorithm
    }

    private final CudaBlas blas;
    private final CudaMemory memory;
    private final MatmulSpec spec;
    private final int count;
    private final long aStride;
    private final long bStride;
    private final long cStride;
    private final long aExtent;
    private final long bExtent;
    private final long cExtent;

    CudaMatmul(CudaBlas blas, CudaMemory memory, MatmulSpec spec, int count, long aStride, long bStride, long cStride) {
        if (spec.aType() == ElementType.F32 && spec.cType() == ElementType.BF16) {
            throw new UnsupportedOperationException(
                    "cuBLAS has no product of F32 matrices into BF16; use BF16 matrices, or an F32 result");
        }
        this.blas = blas;
        this.memory = memory;
        this.spec = spec;
        this.count = count;
        this.aStride = aStride;
        this.bStride = bStride;
        this.cStride = cStride;
        this.aExtent =
                extent(spec.transA() ? spec.k() : spec.m(), spec.transA() ? spec.m() : spec.k(), spec.lda(), aStride);
        this.bExtent =
                extent(spec.transB() ? spec.n() : spec.k(), spec.transB() ? spec.k() : spec.n(), spec.ldb(), bStride);
        this.cExtent = extent(spec.m(), spec.n(), spec.ldc(), cStride);
    }

    /** Elements from the first matrix's first to the last one's last; the largest number if there are more. */
    private long extent(long rows, long cols, long ld, long stride) {
        long one = BatchSpec.extent(rows, cols, ld);
        long before = (count - 1) * stride;
        return before > Long.MAX_VALUE - one ? Long.MAX_VALUE : before + one;
    }

    @Override
    public MatmulSpec spec() {
        return spec;
    }

    @Override
    public long count() {
        return count;
    }

    String function() {
        return count == 1 ? "cublasGemmEx" : "cublasGemmStridedBatchedEx";
    }

    @Override
    public void run(
            int worker, MemorySegment a, long aOffset, MemorySegment b, long bOffset, MemorySegment c, long cOffset) {
        if (worker != 0) {
            throw new IllegalArgumentException("worker is " + worker + "; this device has worker 0 alone");
        }
        run(a, aOffset, b, bOffset, c, cOffset);
    }

    @Override
    public void run(MemorySegment a, long aOffset, MemorySegment b, long bOffset, MemorySegment c, long cOffset) {
        requireMatrix("a", a, spec.aType(), aOffset, aExtent);
        requireMatrix("b", b, spec.bType(), bOffset, bExtent);
        requireMatrix("c", c, spec.cType(), cOffset, cExtent);
        memory.requireWritable("c", c, spec.cType(), 0);
        blas.run(
                this,
                a.address() + aOffset * spec.aType().byteSize(),
                b.address() + bOffset * spec.bType().byteSize(),
                c.address() + cOffset * spec.cType().byteSize());
    }

    private void requireMatrix(String name, MemorySegment segment, ElementType type, long offset, long extent) {
        if (offset < 0) {
            throw new IllegalArgumentException(
                    "the offset of '" + name + "' is " + offset + "; it must not be negative");
        }
        memory.requireReadable(
                name, segment, type, offset > Long.MAX_VALUE - extent ? Long.MAX_VALUE : offset + extent);
    }

    /** The status of cuBLAS. */
    int call(MemorySegment handle, MemorySegment alpha, MemorySegment beta, long a, long b, long c) {
        int inputs = code(spec.aType());
        int output = code(spec.cType());
        int first = spec.transB() ? Cublas.CUBLAS_OP_T() : Cublas.CUBLAS_OP_N();
        int second = spec.transA() ? Cublas.CUBLAS_OP_T() : Cublas.CUBLAS_OP_N();
        // Pedantic: FP32 products in FP32, whatever NVIDIA_TF32_OVERRIDE and later versions make of the default.
        int compute =
                spec.aType() == ElementType.F32 ? Cublas.CUBLAS_COMPUTE_32F_PEDANTIC() : Cublas.CUBLAS_COMPUTE_32F();
        int algorithm = Cublas.CUBLAS_GEMM_DEFAULT();
        try {
            if (count == 1) {
                return (int) Calls.ONE.invokeExact(
                        handle,
                        first,
                        second,
                        spec.n(),
                        spec.m(),
                        spec.k(),
                        alpha,
                        b,
                        inputs,
                        spec.ldb(),
                        a,
                        inputs,
                        spec.lda(),
                        beta,
                        c,
                        output,
                        spec.ldc(),
                        compute,
                        algorithm);
            }
            return (int) Calls.MANY.invokeExact(
                    handle,
                    first,
                    second,
                    spec.n(),
                    spec.m(),
                    spec.k(),
                    alpha,
                    b,
                    inputs,
                    spec.ldb(),
                    bStride,
                    a,
                    inputs,
                    spec.lda(),
                    aStride,
                    beta,
                    c,
                    output,
                    spec.ldc(),
                    cStride,
                    (long) count,
                    compute,
                    algorithm);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError("a native function throws nothing", e);
        }
    }

    private static int code(ElementType type) {
        return switch (type) {
            case F32 -> Cublas.CUDA_R_32F();
            case BF16 -> Cublas.CUDA_R_16BF();
            default -> throw new IllegalArgumentException("a matrix product takes F32 or BF16, not " + type);
        };
    }
}
