package dev.muonium.device;

import dev.muonium.DeviceUnavailableException;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.MemoryReport;

/**
 * Where tensors live and kernels run. A device owns its ledger, its pool of workers, its kernels and its matrix products;
 * closing it closes them. Tensors are closed by whoever allocated them, before the device.
 *
 * <p>Thread-safe, but for the restrictions of {@link Workers} and {@link Matmul}.
 */
public abstract sealed class Device implements Allocator, AutoCloseable permits CpuDevice, CudaDevice {
    /** For subclasses. */
    Device() {}

    /**
     * Opens the CPU with one worker per available processor and the best instruction-set tier (or the one that the system property
     * {@code muonium.simd} names).
     *
     * @throws DeviceUnavailableException if the native library cannot be loaded; the message says what was tried
     */
    public static CpuDevice cpu() {
        return CpuDevice.open(Runtime.getRuntime().availableProcessors());
    }

    /** Opens the CPU with a number of workers, from 1 to 1024; see {@link #cpu()}. */
    public static CpuDevice cpu(int threads) {
        return CpuDevice.open(threads);
    }

    /**
     * Opens the first NVIDIA GPU; see {@link CudaDevice}.
     *
     * @throws DeviceUnavailableException if there is no usable GPU, driver or CUDA library; the message says what was looked for and
     *     what to do
     */
    public static CudaDevice cuda() {
        return CudaDevice.builder().open();
    }

    /**
     * Opens an NVIDIA GPU by its number, from 0; see {@link #cuda()}.
     *
     * @throws IllegalArgumentException if there is no GPU of that number
     */
    public static CudaDevice cuda(int ordinal) {
        return CudaDevice.builder().ordinal(ordinal).open();
    }

    /** A short name for reports, for example {@code cpu (avx512, 2 threads)}. */
    public abstract String describe();

    /** The pool that everything on this device runs on. */
    public abstract Workers workers();

    /** The native kernels, bound to this device. */
    public abstract Kernels kernels();

    /** The kernels of a GPT, bound to this device. */
    public abstract NetworkKernels networkKernels();

    /** The kernels that do a whole optimizer step to many arrays at a time, bound to this device. */
    public abstract BatchKernels batchKernels();

    /** The memory that tensors of this device lie in. */
    public abstract DeviceMemory memory();

    /**
     * Who holds memory now: what this device's ledger counts, and an estimate of what it does not (the JVM; on a GPU the CUDA context, libraries and other
     * programs). Takes some hundred microseconds; may be asked at any time, but on a GPU not in a recording.
     */
    public abstract MemoryReport memoryReport();

    /** Whether matrix products of this element type are at least as fast as those of FP32 here. */
    public abstract boolean isFast(ElementType type);

    /**
     * A matrix product; the same specification gives the same object. Making one takes about a millisecond: make them when a
     * model or an optimizer is built.
     *
     * @throws UnsupportedOperationException if the device cannot multiply such types, with the reason
     */
    public abstract Matmul matmul(MatmulSpec spec);

    /**
     * {@code count} products of one specification over matrices that lie a fixed number of elements apart. Make it when a model or
     * an optimizer is built.
     *
     * @param aStride elements from one A to the next; 0 for the same A in all products
     * @param bStride elements from one B to the next; 0 for the same B in all products
     * @param cStride elements from one C to the next
     * @throws IllegalArgumentException if the count or a stride is out of range, or two results would overlap
     * @throws UnsupportedOperationException if the device cannot multiply such types, with the reason
     */
    public abstract BatchedMatmul batchedMatmul(MatmulSpec spec, long count, long aStride, long bStride, long cStride);

    /** Whether products in FP8 can be asked for, and how they are scaled. */
    public abstract Fp8Support fp8();

    /**
     * An FP8 product; the same specification gives the same object. Make it when a model is built.
     *
     * @throws UnsupportedOperationException if the device has no such product, with the reason
     */
    public abstract Fp8Matmul fp8Matmul(Fp8Spec spec);

    /**
     * Records what {@code work} starts on this device (kernels, products, asynchronous copies) without doing it; the recording can
     * then be replayed. {@code work} is run once, now, on a GPU, and at every replay on a CPU. So it must start the same work each
     * time, on the calling thread, and may neither allocate memory of the device nor wait for it.
     */
    public abstract Recording record(Runnable work);

    /**
     * Returns when everything that was started on this device is done.
     *
     * @throws dev.muonium.NativeException if some of it failed; the message names the calls since the previous one
     */
    public abstract void synchronize();

    /** Closes workers, products and the native context. A second call does nothing. */
    @Override
    public abstract void close();
}
