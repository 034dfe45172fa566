package dev.muonium.device;

import dev.muonium.bindings.cublas.Cublas;
import dev.muonium.bindings.cublaslt.CublasLt;
import dev.muonium.bindings.cublaslt.cublasLtMatmulAlgo_t;
import dev.muonium.bindings.cublaslt.cublasLtMatmulHeuristicResult_t;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/**
 * The cublasLt of one device, for FP8 products: its handle, the plans that were made, and the call. It shares the workspace of
 * {@link CudaBlas}: both work in the same stream, one product after the other.
 *
 * <p>cublasLt stores matrices by columns. What is stored by rows is, by columns, the transposed matrix: {@code Cᵀ = B·Aᵀ} is asked for. So
 * cublasLt's A is our B and its B our A, its m is our n and its n our m. Both operands have the sum along their rows, so cublasLt's A is
 * transposed and its B is not: the "TN" that FP8 needs before Blackwell (cuBLAS documentation, "cublasLtMatmul()").
 */
final class CudaLt implements AutoCloseable {
    /** What C and D are aligned to at least; what lies in operands is aligned to 256, which cublasLt takes for granted. */
    private static final int RESULT_ALIGNMENT = 16;

    /** The function with addresses as numbers, as in {@link CudaMatmul}. */
    private static final class Calls {
        static final MethodHandle MATMUL = Linker.nativeLinker()
                .downcallHandle(
                        CublasLt.cublasLtMatmul$address(),
                        FunctionDescriptor.of(
                                ValueLayout.JAVA_INT,
                                ValueLayout.ADDRESS, // handle
                                ValueLayout.ADDRESS, // operation
                                ValueLayout.ADDRESS, // alpha
                                ValueLayout.JAVA_LONG, // A
                                ValueLayout.ADDRESS, // its layout
                                ValueLayout.JAVA_LONG, // B
                                ValueLayout.ADDRESS, // its layout
                                ValueLayout.ADDRESS, // beta
                                ValueLayout.JAVA_LONG, // C
                                ValueLayout.ADDRESS, // its layout
                                ValueLayout.JAVA_LONG, // D
                                ValueLayout.ADDRESS, // its layout
                                ValueLayout.ADDRESS, // algorithm
                                ValueLayout.JAVA_LONG, // workspace
                                ValueLayout.JAVA_LONG, // its bytes
                                ValueLayout.ADDRESS)); // stream
    }

    private final CudaStream stream;
    private final @Nullable Tensor workspace;
    private final MemorySegment handle;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment zero = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 0);
    private final MemorySegment one = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1);
    private final MemorySegment value = arena.allocate(ValueLayout.JAVA_LONG);
    private final Deque<Runnable> descriptors = new ArrayDeque<>();
    private boolean closed; // guarded by this

    private CudaLt(CudaStream stream, @Nullable Tensor workspace, MemorySegment handle) {
        this.stream = stream;
        this.workspace = workspace;
        this.handle = handle;
    }

    /**
     * Opens it.
     *
     * @param workspace which its owner closes later; null for none
     */
    static CudaLt open(CudaStream stream, @Nullable Tensor workspace) {
        stream.enterOutsideRecording("cublasLt cannot be opened");
        try (Arena temporary = Arena.ofConfined()) {
            MemorySegment out = temporary.allocate(ValueLayout.ADDRESS);
            check(stream, CublasLt.cublasLtCreate(out), "cublasLtCreate");
            return new CudaLt(stream, workspace, out.get(ValueLayout.ADDRESS, 0));
        }
    }

    private static void check(CudaStream stream, int status, String function) {
        if (status != Cublas.CUBLAS_STATUS_SUCCESS()) {
            throw stream.failure(function, status, text(status));
        }
    }

    private void check(int status, String function) {
        check(stream, status, function);
    }

    private static String text(int status) {
        return CublasLt.cublasLtGetStatusString(status)
                        .reinterpret(Long.MAX_VALUE)
                        .getString(0) + " ("
                + CublasLt.cublasLtGetStatusName(status)
                        .reinterpret(Long.MAX_VALUE)
                        .getString(0) + ")";
    }

    /** The plan of a product; null where cublasLt has no algorithm for it. */
    synchronized @Nullable CudaLtPlan plan(Fp8Spec spec, Fp8Scaling scaling) {
        stream.enterOutsideRecording("an FP8 product cannot be made");
        MemorySegment operation = operation(spec, scaling);
        MemorySegment a = layout(code(spec.bFormat()), spec.paddedK(), spec.paddedN());
        MemorySegment b = layout(code(spec.aFormat()), spec.paddedK(), spec.paddedM());
        MemorySegment d = layout(code(spec.cType()), spec.paddedN(), spec.paddedM());
        MemorySegment algorithm = algorithm(operation, a, b, d);
        return algorithm == null ? null : new CudaLtPlan(scaling, operation, a, b, d, algorithm);
    }

    private MemorySegment operation(Fp8Spec spec, Fp8Scaling scaling) {
        MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
        check(
                CublasLt.cublasLtMatmulDescCreate(out, Cublas.CUBLAS_COMPUTE_32F(), Cublas.CUDA_R_32F()),
                "cublasLtMatmulDescCreate");
        MemorySegment operation = out.get(ValueLayout.ADDRESS, 0);
        descriptors.push(() -> report(CublasLt.cublasLtMatmulDescDestroy(operation), "cublasLtMatmulDescDestroy"));
        setInt(operation, CublasLt.CUBLASLT_MATMUL_DESC_TRANSA(), Cublas.CUBLAS_OP_T());
        setInt(operation, CublasLt.CUBLASLT_MATMUL_DESC_TRANSB(), Cublas.CUBLAS_OP_N());
        // Sums go to FP32 as often as the hardware allows: with fast accumulation Hopper keeps them in fewer bits.
        value.set(ValueLayout.JAVA_BYTE, 0, (byte) 0);
        set(operation, CublasLt.CUBLASLT_MATMUL_DESC_FAST_ACCUM(), Byte.BYTES);
        if (scaling == Fp8Scaling.BLOCKS) {
            int vectors = CublasLt.CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F();
            int squares = CublasLt.CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F();
            setInt(operation, CublasLt.CUBLASLT_MATMUL_DESC_A_SCALE_MODE(), spec.squares() ? squares : vectors);
            setInt(operation, CublasLt.CUBLASLT_MATMUL_DESC_B_SCALE_MODE(), vectors);
        }
        if (workspace != null) { // heuristics want to see that there are scales, and do not read them
            setScales(operation, workspace.segment(), workspace.segment());
        }
        return operation;
    }

    private void setScales(MemorySegment operation, MemorySegment a, MemorySegment b) {
        value.set(ValueLayout.JAVA_LONG, 0, a.address());
        set(operation, CublasLt.CUBLASLT_MATMUL_DESC_A_SCALE_POINTER(), Long.BYTES);
        value.set(ValueLayout.JAVA_LONG, 0, b.address());
        set(operation, CublasLt.CUBLASLT_MATMUL_DESC_B_SCALE_POINTER(), Long.BYTES);
    }

    private void setInt(MemorySegment operation, int attribute, int number) {
        value.set(ValueLayout.JAVA_INT, 0, number);
        set(operation, attribute, Integer.BYTES);
    }

    private void set(MemorySegment operation, int attribute, long bytes) {
        check(
                CublasLt.cublasLtMatmulDescSetAttribute(operation, attribute, value, bytes),
                "cublasLtMatmulDescSetAttribute");
    }

    /** Of a matrix whose columns lie one after the other. */
    private MemorySegment layout(int type, long rows, long cols) {
        MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
        check(CublasLt.cublasLtMatrixLayoutCreate(out, type, rows, cols, rows), "cublasLtMatrixLayoutCreate");
        MemorySegment layout = out.get(ValueLayout.ADDRESS, 0);
        descriptors.push(() -> report(CublasLt.cublasLtMatrixLayoutDestroy(layout), "cublasLtMatrixLayoutDestroy"));
        return layout;
    }

    private @Nullable MemorySegment algorithm(
            MemorySegment operation, MemorySegment a, MemorySegment b, MemorySegment d) {
        try (Arena temporary = Arena.ofConfined()) {
            MemorySegment out = temporary.allocate(ValueLayout.ADDRESS);
            check(CublasLt.cublasLtMatmulPreferenceCreate(out), "cublasLtMatmulPreferenceCreate");
            MemorySegment preference = out.get(ValueLayout.ADDRESS, 0);
            try {
                prefer(preference);
                MemorySegment result = cublasLtMatmulHeuristicResult_t.allocate(temporary);
                MemorySegment returned = temporary.allocate(ValueLayout.JAVA_INT);
                int status = CublasLt.cublasLtMatmulAlgoGetHeuristic(
                        handle, operation, a, b, d, d, preference, 1, result, returned);
                if (status == Cublas.CUBLAS_STATUS_NOT_SUPPORTED()) {
                    return null;
                }
                check(status, "cublasLtMatmulAlgoGetHeuristic");
                if (returned.get(ValueLayout.JAVA_INT, 0) == 0
                        || cublasLtMatmulHeuristicResult_t.state(result) != Cublas.CUBLAS_STATUS_SUCCESS()) {
                    return null;
                }
                return arena.allocate(cublasLtMatmulAlgo_t.layout())
                        .copyFrom(cublasLtMatmulHeuristicResult_t.algo(result));
            } finally {
                report(CublasLt.cublasLtMatmulPreferenceDestroy(preference), "cublasLtMatmulPreferenceDestroy");
            }
        }
    }

    /** Our workspace, our alignment, and no partial sums beside each other, so that bits are the same every time. */
    private void prefer(MemorySegment preference) {
        value.set(ValueLayout.JAVA_LONG, 0, workspaceBytes());
        prefer(preference, CublasLt.CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES(), Long.BYTES);
        value.set(ValueLayout.JAVA_INT, 0, RESULT_ALIGNMENT);
        prefer(preference, CublasLt.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES(), Integer.BYTES);
        prefer(preference, CublasLt.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES(), Integer.BYTES);
        value.set(ValueLayout.JAVA_INT, 0, CublasLt.CUBLASLT_REDUCTION_SCHEME_NONE());
        prefer(preference, CublasLt.CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK(), Integer.BYTES);
    }

    private void prefer(MemorySegment preference, int attribute, long bytes) {
        check(
                CublasLt.cublasLtMatmulPreferenceSetAttribute(preference, attribute, value, bytes),
                "cublasLtMatmulPreferenceSetAttribute");
    }

    private long workspaceBytes() {
        return workspace == null ? 0 : workspace.byteSize();
    }

    /** One caller at a time: the operation's scales, and the workspace, are one. {@code a} and {@code b} are cublasLt's. */
    synchronized void run(CudaLtPlan plan, Fp8Operand a, Fp8Operand b, long d, boolean accumulate) {
        stream.enter();
        setScales(plan.operation(), a.scales(), b.scales());
        MemorySegment beta = accumulate ? one : zero;
        long scratch = workspace == null ? 0 : workspace.segment().address();
        int status;
        try {
            status = (int) Calls.MATMUL.invokeExact(
                    handle,
                    plan.operation(),
                    one,
                    a.codes().address(),
                    plan.a(),
                    b.codes().address(),
                    plan.b(),
                    beta,
                    d,
                    plan.d(),
                    d,
                    plan.d(),
                    plan.algorithm(),
                    scratch,
                    workspaceBytes(),
                    stream.handle());
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError("a native function throws nothing", e);
        }
        check(status, "cublasLtMatmul");
        stream.started("cublasLtMatmul");
    }

    private static int code(BlockFormat format) {
        return format == BlockFormat.FP8_E5M2 ? Cublas.CUDA_R_8F_E5M2() : Cublas.CUDA_R_8F_E4M3();
    }

    private static int code(ElementType type) {
        return type == ElementType.BF16 ? Cublas.CUDA_R_16BF() : Cublas.CUDA_R_32F();
    }

    private void report(int status, String function) {
        if (status != Cublas.CUBLAS_STATUS_SUCCESS() && !stream.isBroken()) {
            throw stream.failure(function, status, text(status));
        }
    }

    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (stream.enterToFree()) {
            while (!descriptors.isEmpty()) {
                descriptors.pop().run();
            }
            report(CublasLt.cublasLtDestroy(handle), "cublasLtDestroy");
        }
        arena.close();
    }
}
