package dev.muonium.device;

import dev.muonium.bindings.cublas.Cublas;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The cuBLAS of one device: a handle in the device's stream, with a workspace of its own, so that its memory is in the ledger and
 * recordings need none of cuBLAS's. Products give the same bits every time: no atomics, and no partial sums in less than FP32.
 */
final class CudaBlas implements AutoCloseable {
    private final CudaStream stream;
    private final CudaMemory memory;
    private final MemorySegment handle;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment zero = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 0);
    private final MemorySegment one = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1);
    private final @Nullable Tensor workspace;
    private final Map<MatmulSpec, CudaMatmul> products = new ConcurrentHashMap<>();
    private boolean closed; // guarded by this

    private CudaBlas(CudaStream stream, CudaMemory memory, MemorySegment handle, @Nullable Tensor workspace) {
        this.stream = stream;
        this.memory = memory;
        this.handle = handle;
        this.workspace = workspace;
    }

    static CudaBlas open(CudaStream stream, CudaMemory memory, long workspaceBytes) {
        stream.enter();
        MemorySegment handle;
        try (Arena temporary = Arena.ofConfined()) {
            MemorySegment out = temporary.allocate(ValueLayout.ADDRESS);
            check(stream, Cublas.cublasCreate_v2(out), "cublasCreate_v2");
            handle = out.get(ValueLayout.ADDRESS, 0);
        }
        @Nullable Tensor workspace = null;
        try {
            workspace = workspaceBytes == 0
                    ? null
                    : memory.allocate(
                            Purpose.WORKSPACE, "workspace of cuBLAS", ElementType.U8, Shape.of(workspaceBytes));
            setUp(stream, handle, workspace);
            return new CudaBlas(stream, memory, handle, workspace);
        } catch (RuntimeException | Error e) {
            var _ = Cublas.cublasDestroy_v2(handle);
            if (workspace != null) {
                workspace.close();
            }
            throw e;
        }
    }

    private static void setUp(CudaStream stream, MemorySegment handle, @Nullable Tensor workspace) {
        check(stream, Cublas.cublasSetStream_v2(handle, stream.handle()), "cublasSetStream_v2");
        if (workspace != null) { // after the stream: setting that takes the workspace away
            check(
                    stream,
                    Cublas.cublasSetWorkspace_v2(handle, workspace.segment(), workspace.byteSize()),
                    "cublasSetWorkspace_v2");
        }
        int mode = Cublas.CUBLAS_DEFAULT_MATH() | Cublas.CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION();
        check(stream, Cublas.cublasSetMathMode(handle, mode), "cublasSetMathMode");
        check(stream, Cublas.cublasSetAtomicsMode(handle, Cublas.CUBLAS_ATOMICS_NOT_ALLOWED()), "cublasSetAtomicsMode");
        check(
                stream,
                Cublas.cublasSetPointerMode_v2(handle, Cublas.CUBLAS_POINTER_MODE_HOST()),
                "cublasSetPointerMode_v2");
    }

    private static void check(CudaStream stream, int status, String function) {
        if (status != Cublas.CUBLAS_STATUS_SUCCESS()) {
            throw stream.failure(function, status, text(status));
        }
    }

    private static String text(int status) {
        return Cublas.cublasGetStatusString(status).reinterpret(Long.MAX_VALUE).getString(0) + " ("
                + Cublas.cublasGetStatusName(status).reinterpret(Long.MAX_VALUE).getString(0) + ")";
    }

    /** The version of the library, for example {@code 13.0.2}. */
    String version() {
        stream.enter();
        try (Arena temporary = Arena.ofConfined()) {
            MemorySegment out = temporary.allocate(ValueLayout.JAVA_INT);
            check(stream, Cublas.cublasGetVersion_v2(handle, out), "cublasGetVersion_v2");
            int version = out.get(ValueLayout.JAVA_INT, 0);
            return version / 10_000 + "." + version % 10_000 / 100 + "." + version % 100;
        }
    }

    /** What products work in, one after the other in the stream; null where cuBLAS has its own. */
    @Nullable
    Tensor workspace() {
        return workspace;
    }

    /** The product of a specification, made when it is first asked for. */
    CudaMatmul matmul(MatmulSpec spec) {
        stream.requireUsable();
        return products.computeIfAbsent(spec, wanted -> new CudaMatmul(this, memory, wanted, 1, 0, 0, 0));
    }

    CudaMatmul batch(MatmulSpec spec, int count, long aStride, long bStride, long cStride) {
        stream.requireUsable();
        return new CudaMatmul(this, memory, spec, count, aStride, bStride, cStride);
    }

    /** One caller at a time: the handle, and with it the workspace, is one. */
    synchronized void run(CudaMatmul product, long a, long b, long c) {
        stream.enter();
        String function = product.function();
        int status = product.call(handle, one, product.spec().accumulate() ? one : zero, a, b, c);
        check(stream, status, function);
        stream.started(function);
    }

    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (stream.enterToFree()) {
            int status = Cublas.cublasDestroy_v2(handle);
            if (status != Cublas.CUBLAS_STATUS_SUCCESS() && !stream.isBroken()) {
                throw stream.failure("cublasDestroy_v2", status, text(status));
            }
        }
        if (workspace != null) {
            workspace.close();
        }
        arena.close();
    }
}
