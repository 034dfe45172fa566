package dev.muonium.device;

import dev.muonium.DeviceUnavailableException;
import dev.muonium.bindings.cudart.CudaRuntime;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Ledger;
import dev.muonium.memory.MemoryReport;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * An NVIDIA GPU: memory from a stream-ordered pool, the kernels of {@code libmuonium_cuda.so}, matrix products by cuBLAS, all in one
 * stream. What is started runs in the order in which it was started, and later than the call: what of it fails is reported by
 * {@link #synchronize}, or by any call that waits or happens to notice, with the names of what was started since the last time.
 *
 * <p>A kernel's fault ends the work on that GPU for the whole process, as CUDA has it: the device is then broken, every call but
 * {@link #close} says so, and closing frees what can be freed.
 *
 * <p>Has one worker, the calling thread. Thread-safe, but for what {@link #record} says, and but for products, which take turns.
 */
public final class CudaDevice extends Device {
    private final GpuInfo gpu;
    private final List<LibraryInfo> libraries;
    private final Deque<Runnable> parts = new ArrayDeque<>();
    private final Set<CudaGraph> graphs = Collections.newSetFromMap(new ConcurrentHashMap<>());
    private final Ledger ledger = new Ledger();
    private final Ledger.Entry backendBytes = ledger.enter(Purpose.WORKSPACE, "what the CUDA backend holds", 0);
    private final CudaStream stream;
    private final CudaMemory memory;
    private final CudaContext context;
    private final CudaBlas blas;
    private final Kernels kernels;
    private final NetworkKernels networkKernels;
    private final BatchKernels batchKernels;
    private final Workers workers = Workers.create(1);
    private final Fp8Support fp8;
    private final Map<Fp8Spec, CudaFp8Matmul> fp8Products = new ConcurrentHashMap<>();
    private @Nullable CudaLt lt; // guarded by this
    private boolean closed; // guarded by this

    private CudaDevice(Builder options) {
        CudaLibraries.Loaded loaded =
                CudaLibraries.require(); // before anything that calls CUDA, to explain why it cannot
        this.gpu = gpu(loaded.gpus(), options.ordinal);
        this.fp8 = Fp8Support.of(gpu);
        this.libraries = loaded.libraries();
        this.stream = options.hasStream
                ? CudaStream.wrap(options.ordinal, options.stream)
                : CudaStream.create(options.ordinal);
        try {
            this.memory = new CudaMemory(stream, pool(options), ledger);
            parts.push(memory::close);
            this.context = CudaContext.open(loaded.backend(), stream, memory);
            parts.push(context::close);
            CudaSum sum = new CudaSum(stream, memory);
            parts.push(sum::close);
            this.blas = CudaBlas.open(stream, memory, options.workspaceBytes);
            parts.push(blas::close);
            SystemMemory settings = new SystemMemory("the device " + stream.device(), ledger);
            parts.push(settings::close);
            this.kernels = new NativeKernels(context, memory, settings, sum);
            this.networkKernels = new NetworkKernels(context, memory);
            this.batchKernels = new BatchKernels(context, memory);
        } catch (RuntimeException | Error e) {
            closeParts(e);
            throw e;
        }
    }

    /** The stream is the memory's to destroy, but without a pool there is no memory. */
    private CudaPool pool(Builder options) {
        try {
            return CudaPool.create(stream, options.keptBytes);
        } catch (RuntimeException | Error e) {
            stream.destroy();
            throw e;
        }
    }

    private static GpuInfo gpu(List<GpuInfo> gpus, int ordinal) {
        if (ordinal < 0 || ordinal >= gpus.size()) {
            throw new IllegalArgumentException("ordinal is " + ordinal + "; this machine has "
                    + (gpus.size() == 1 ? "one GPU, number 0" : gpus.size() + " GPUs, 0 to " + (gpus.size() - 1)));
        }
        GpuInfo gpu = gpus.get(ordinal);
        if (gpu.major() < 8) {
            throw new DeviceUnavailableException("the GPU cuda:" + ordinal + " (" + gpu
                    + ") is too old for Muonium, which needs compute capability 8.0 (Ampere) or newer; use"
                    + " Device.cpu()");
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_INT);
            int status =
                    CudaRuntime.cudaDeviceGetAttribute(out, CudaRuntime.cudaDevAttrMemoryPoolsSupported(), ordinal);
            if (status == CudaRuntime.cudaSuccess() && out.get(ValueLayout.JAVA_INT, 0) == 0) {
                throw new DeviceUnavailableException("the GPU cuda:" + ordinal + " (" + gpu
                        + ") has no stream-ordered memory, which Muonium needs; a virtual GPU has it with unified"
                        + " memory switched on");
            }
        }
        return gpu;
    }

    /** Options that begin with GPU 0, a stream of the device's own, and 32 MiB of workspace for cuBLAS. */
    public static Builder builder() {
        return new Builder();
    }

    /** Options of a CUDA device. Not thread-safe. */
    public static final class Builder {
        private int ordinal;
        private boolean hasStream;
        private long stream;
        private long keptBytes = 64L << 20;
        private long workspaceBytes = 32L << 20; // what cuBLAS recommends for Hopper; elsewhere 4 MiB would do

        private Builder() {}

        /** Which GPU, from 0, as {@code CUDA_VISIBLE_DEVICES} leaves them. */
        public Builder ordinal(int number) {
            this.ordinal = number;
            return this;
        }

        /**
         * A stream that somebody else made on the same GPU and goes on owning, such as PyTorch's
         * ({@code torch.cuda.current_stream().cuda_stream}), instead of one of the device's own. It must outlive the device and its
         * tensors.
         *
         * @param address the {@code cudaStream_t}; 0 is CUDA's default stream, in which nothing can be recorded
         */
        public Builder stream(long address) {
            this.hasStream = true;
            this.stream = address;
            return this;
        }

        /** How many unused bytes the pool keeps over a synchronization for the next allocation; 64 MiB if nothing is said. */
        public Builder keptBytes(long bytes) {
            if (bytes < 0) {
                throw new IllegalArgumentException("keptBytes is " + bytes + "; it must not be negative");
            }
            this.keptBytes = bytes;
            return this;
        }

        /** The workspace of cuBLAS; 0 leaves that to cuBLAS, whose memory is then not in the ledger. */
        public Builder workspaceBytes(long bytes) {
            if (bytes < 0) {
                throw new IllegalArgumentException("workspaceBytes is " + bytes + "; it must not be negative");
            }
            this.workspaceBytes = bytes;
            return this;
        }

        /**
         * Opens the device.
         *
         * @throws DeviceUnavailableException if there is no usable GPU, driver or CUDA library; the message says what was looked for
         * @throws IllegalArgumentException if there is no GPU of that number
         */
        public CudaDevice open() {
            return new CudaDevice(this);
        }
    }

    /** What the driver tells of the GPU. */
    public GpuInfo gpu() {
        return gpu;
    }

    /** The libraries that this device runs on, Muonium's own first. */
    public List<LibraryInfo> libraries() {
        return libraries;
    }

    /** Bytes of the GPU that are free now, whoever has the others. */
    public long freeBytes() {
        return memory.info()[0];
    }

    /** Bytes of the GPU that are in use now, whoever has them: what the driver and libraries take for themselves as well. */
    public long usedBytes() {
        long[] info = memory.info();
        return info[1] - info[0];
    }

    /** For example {@code cuda:0 (NVIDIA H200, sm_90, 132 multiprocessors, 139.8 GiB)}. */
    @Override
    public String describe() {
        return stream.device() + " (" + gpu + ")";
    }

    @Override
    public Workers workers() {
        return workers;
    }

    @Override
    public Kernels kernels() {
        return kernels;
    }

    @Override
    public NetworkKernels networkKernels() {
        return networkKernels;
    }

    @Override
    public BatchKernels batchKernels() {
        return batchKernels;
    }

    @Override
    public MemoryReport memoryReport() {
        return memory.report();
    }

    @Override
    public DeviceMemory memory() {
        return memory;
    }

    /** FP32 and BF16: tensor cores multiply BF16 on every GPU that can be opened. */
    @Override
    public boolean isFast(ElementType type) {
        return type == ElementType.F32 || type == ElementType.BF16;
    }

    @Override
    public Matmul matmul(MatmulSpec spec) {
        return blas.matmul(spec);
    }

    @Override
    public Fp8Support fp8() {
        return fp8;
    }

    @Override
    public Fp8Matmul fp8Matmul(Fp8Spec spec) {
        Fp8Scaling finest = fp8.scaling();
        if (finest == null) {
            throw new UnsupportedOperationException(fp8.sentence());
        }
        stream.requireUsable();
        return fp8Products.computeIfAbsent(
                spec, wanted -> CudaFp8Matmul.of(cublasLt(), memory, kernels, wanted, finest));
    }

    /** Opened when the first FP8 product is made: a device that makes none pays nothing for it. */
    private synchronized CudaLt cublasLt() {
        CudaLt opened = lt;
        if (opened == null) {
            opened = CudaLt.open(stream, blas.workspace());
            lt = opened;
            parts.push(opened::close);
        }
        return opened;
    }

    @Override
    public BatchedMatmul batchedMatmul(MatmulSpec spec, long count, long aStride, long bStride, long cStride) {
        return blas.batch(
                spec, BatchSpec.requireBatch(spec, count, aStride, bStride, cStride), aStride, bStride, cStride);
    }

    /**
     * Captures a CUDA graph. Scalars and the settings of {@link Rounding} and {@link AdamWParameters} are in it as they are now;
     * what kernels read from the device's memory, they read at each replay.
     *
     * @throws IllegalStateException if {@code work} allocates, frees or waits, or the device works in CUDA's default stream
     */
    @Override
    public Recording record(Runnable work) {
        CudaGraph graph = CudaGraph.record(stream, work, graphs::remove);
        graphs.add(graph);
        return graph;
    }

    /**
     * Copies between the host and this GPU beside what it computes; the caller closes it before the device.
     *
     * @param places how many places on the GPU they take turns in, at least 1
     */
    public CudaTransfers transfers(int places) {
        return new CudaTransfers(stream, memory, places);
    }

    @Override
    public void synchronize() {
        stream.synchronize();
        countBackend();
    }

    /**
     * How long the GPU takes for what {@code work} starts, between two events in its stream; waits for it.
     *
     * @return milliseconds
     */
    public double milliseconds(Runnable work) {
        stream.enterOutsideRecording("work cannot be timed");
        try (CudaEvent begin = CudaEvent.create(stream);
                CudaEvent end = CudaEvent.create(stream)) {
            begin.record();
            work.run();
            end.record();
            stream.synchronize();
            return begin.millisecondsTo(end);
        }
    }

    @Override
    public Tensor allocate(Purpose purpose, String name, ElementType type, Shape shape) {
        return memory.allocate(purpose, name, type, shape);
    }

    /**
     * A tensor over memory of this GPU that somebody else owns and keeps alive, such as PyTorch's ({@code tensor.data_ptr()}). What is
     * started here may use it while the tensor is open; closing forgets it.
     *
     * @param address a device address
     * @throws IllegalArgumentException if it is no memory of this GPU, or misaligned
     */
    public Tensor wrap(String name, ElementType type, Shape shape, long address) {
        return memory.wrap(name, type, shape, address);
    }

    /** Counts device memory, page-locked memory of the host, and the few bytes of settings. */
    @Override
    public Ledger ledger() {
        countBackend();
        return ledger;
    }

    private synchronized void countBackend() {
        if (!closed) {
            backendBytes.resize(context.bytes());
        }
    }

    /**
     * Waits for work in flight and frees everything but tensors that are still open, whose memory is freed when they are closed. A
     * second call does nothing.
     *
     * @throws dev.muonium.NativeException if work that was started failed; the device is closed nevertheless
     * @throws IllegalStateException inside a recording
     */
    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        stream.refuseInRecording("the device cannot be closed");
        workers.close();
        closed = true;
        @Nullable RuntimeException failure = finish();
        stream.close();
        List.copyOf(graphs).forEach(CudaGraph::close);
        backendBytes.close();
        if (failure == null) {
            failure = closeParts();
        } else {
            closeParts(failure);
        }
        if (failure != null) {
            throw failure;
        }
    }

    /** What went wrong with work in flight, or null; of a device that is broken that is known. */
    private @Nullable RuntimeException finish() {
        if (stream.isBroken()) {
            return null;
        }
        try {
            stream.synchronize();
            return null;
        } catch (RuntimeException e) {
            return e;
        }
    }

    private @Nullable RuntimeException closeParts() {
        @Nullable RuntimeException first = null;
        while (!parts.isEmpty()) {
            try {
                parts.pop().run();
            } catch (RuntimeException e) {
                if (first == null) {
                    first = e;
                } else {
                    first.addSuppressed(e);
                }
            }
        }
        return first;
    }

    private void closeParts(Throwable failure) {
        @Nullable RuntimeException further = closeParts();
        if (further != null) {
            failure.addSuppressed(further);
        }
    }
}
