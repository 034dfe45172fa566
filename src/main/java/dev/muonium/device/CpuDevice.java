package dev.muonium.device;

import dev.muonium.bindings.mu.Muonium;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Ledger;
import dev.muonium.memory.MemoryReport;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.util.List;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/**
 * The CPU: memory of the C library, the kernels of {@code libmuonium.so}, matrix products by oneDNN.
 *
 * <p>oneDNN keeps the instruction set of its first use, so all devices of a process that multiply matrices must have the
 * same tier; kernels have no such limit.
 *
 * <p>Thread-safe, but for the restrictions of {@link Workers} and {@link Matmul}.
 */
public final class CpuDevice extends Device {
    private final SystemMemory memory;
    private final List<LibraryInfo> libraries;
    private final CpuTier bestTier;
    private final CpuTier tier;
    private final NativeContext context;
    private final NativeKernels kernels;
    private final NetworkKernels networkKernels;
    private final BatchKernels batchKernels;
    private final Workers workers;
    private @Nullable OneDnn oneDnn;
    private volatile boolean closed;

    private CpuDevice(Builder options) {
        this.libraries = NativeLibraries.require(); // before anything that calls native code, to explain why it cannot
        @Nullable CpuTier asked = options.tier();
        this.memory = new SystemMemory("the CPU device", new Ledger());
        this.bestTier = CpuTier.ofCode(Muonium.mu_cpu_best_tier());
        this.tier = asked == null ? bestTier : requireRunnable(asked, bestTier);
        this.workers = options.executor == null
                ? Workers.create(options.threads)
                : Workers.on(options.executor, options.threads);
        this.context = openContext(tier, workers);
        this.kernels = new NativeKernels(context, memory, memory, new ThreadSum());
        this.networkKernels = new NetworkKernels(context, memory);
        this.batchKernels = new BatchKernels(context, memory);
    }

    /** Nobody else could end the workers of a device that was not opened. */
    private static NativeContext openContext(CpuTier tier, Workers workers) {
        try {
            return NativeContext.open(tier);
        } catch (RuntimeException | Error e) {
            workers.close();
            throw e;
        }
    }

    private static CpuTier requireRunnable(CpuTier asked, CpuTier best) {
        if (asked.compareTo(best) > 0) {
            throw new IllegalArgumentException("the tier " + asked + " was asked for (by " + CpuTier.PROPERTY
                    + " or in code), but this processor can run " + best + " at best; use auto");
        }
        return asked;
    }

    /**
     * Opens the CPU with a number of workers and the tier that {@value CpuTier#PROPERTY} names, else the best.
     *
     * @throws IllegalArgumentException if {@code threads} is not from 1 to 1024, or the property names no tier, or one that
     *     the processor cannot run
     * @throws dev.muonium.DeviceUnavailableException if the native libraries cannot be loaded
     */
    public static CpuDevice open(int threads) {
        return builder().threads(threads).open();
    }

    /** Options that begin with one worker per available processor and the tier of {@value CpuTier#PROPERTY}. */
    public static Builder builder() {
        return new Builder();
    }

    /** Options of a CPU device. Not thread-safe. */
    public static final class Builder {
        private int threads = Runtime.getRuntime().availableProcessors();
        private @Nullable CpuTier tier;
        private @Nullable Executor executor;

        private Builder() {}

        /** The number of workers, from 1 to 1024; see {@link Workers}. */
        public Builder threads(int count) {
            this.threads = count;
            return this;
        }

        /** The tier of the kernels, instead of the one that {@value CpuTier#PROPERTY} names. */
        public Builder tier(CpuTier wanted) {
            this.tier = wanted;
            return this;
        }

        /** Where the workers' threads come from, instead of threads of the device's own; see {@link Workers#on}. */
        public Builder executor(Executor source) {
            this.executor = source;
            return this;
        }

        /** Opens the device; see {@link CpuDevice#open(int)} for what it throws. */
        public CpuDevice open() {
            return new CpuDevice(this);
        }

        private @Nullable CpuTier tier() {
            return tier != null ? tier : CpuTier.parse(System.getProperty(CpuTier.PROPERTY, "auto"));
        }
    }

    /** The tier of the kernels. */
    public CpuTier tier() {
        return tier;
    }

    /** What this device runs on. */
    public DeviceReport report() {
        return new DeviceReport(
                NativeSettings.ofThisProcess().platform(),
                Muonium.mu_cpu_name().getString(0),
                tier,
                bestTier,
                isFast(ElementType.BF16),
                workers.count(),
                libraries);
    }

    @Override
    public String describe() {
        return "cpu (" + tier + ", " + workers.count() + (workers.count() == 1 ? " thread)" : " threads)");
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

    /** FP32 always; BF16 if the tier is AVX-512 and the processor has AVX512_BF16: elsewhere it is emulated, or missing. */
    @Override
    public boolean isFast(ElementType type) {
        return switch (type) {
            case F32 -> true;
            case BF16 -> tier == CpuTier.AVX512 && Muonium.mu_cpu_has_bf16() == 1;
            default -> false;
        };
    }

    @Override
    public Matmul matmul(MatmulSpec spec) {
        return oneDnn().matmul(spec);
    }

    @Override
    public Fp8Support fp8() {
        return new Fp8Support(null, "FP32 or BF16 products instead of FP8: a CPU has none");
    }

    @Override
    public Fp8Matmul fp8Matmul(Fp8Spec spec) {
        throw new UnsupportedOperationException(fp8().sentence());
    }

    @Override
    public BatchedMatmul batchedMatmul(MatmulSpec spec, long count, long aStride, long bStride, long cStride) {
        int products = BatchSpec.requireBatch(spec, count, aStride, bStride, cStride);
        return new OneDnnBatch(matmul(spec), workers, products, aStride, bStride, cStride);
    }

    /** Keeps the work: there is nothing to be gained by doing otherwise. */
    @Override
    public Recording record(Runnable work) {
        requireOpen();
        return new Repeated(this, work);
    }

    /** Returns at once: everything is done when the call that asked for it returns. */
    @Override
    public void synchronize() {
        requireOpen();
    }

    private synchronized OneDnn oneDnn() {
        requireOpen();
        if (oneDnn == null) {
            oneDnn = OneDnn.open(tier, bestTier, workers.count(), memory);
        }
        return oneDnn;
    }

    @Override
    public Tensor allocate(Purpose purpose, String name, ElementType type, Shape shape) {
        return memory.allocate(purpose, name, type, shape);
    }

    @Override
    public Ledger ledger() {
        return memory.ledger();
    }

    void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the CPU device was used after it was closed");
        }
    }

    @Override
    public void close() {
        workers.close(); // not under the lock: it waits for tasks, which may ask this device for a product
        free();
    }

    /** Each step does nothing if it is done already, so that a close that failed can be called again. */
    private synchronized void free() {
        closed = true;
        memory.close();
        if (oneDnn != null) {
            oneDnn.close();
        }
        context.close();
    }
}
