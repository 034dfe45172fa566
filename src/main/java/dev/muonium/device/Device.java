package dev.muonium.device;

import dev.muonium.DeviceUnavailableException;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.ElementType;

/**
 * Where tensors live and kernels run. A device owns its ledger, its pool of workers, its kernels and its matrix products;
 * closing it closes them. Tensors are closed by whoever allocated them, before the device.
 *
 * <p>Thread-safe, but for the restrictions of {@link Workers} and {@link Matmul}.
 */
public abstract sealed class Device implements Allocator, AutoCloseable permits CpuDevice {
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
     * Opens an NVIDIA GPU. This version of Muonium has no CUDA backend, so this explains, and says what {@link CudaProbe} found.
     *
     * @throws DeviceUnavailableException always
     */
    public static Device cuda() {
        throw new DeviceUnavailableException(CudaProbe.probe().explanation());
    }

    /** A short name for reports, for example {@code cpu (avx512, 2 threads)}. */
    public abstract String describe();

    /** The pool that everything on this device runs on. */
    public abstract Workers workers();

    /** The native kernels, bound to this device. */
    public abstract Kernels kernels();

    /** The kernels of a GPT, bound to this device. */
    public abstract NetworkKernels networkKernels();

    /** Whether matrix products of this element type are at least as fast as those of FP32 here. */
    public abstract boolean isFast(ElementType type);

    /**
     * A matrix product; the same specification gives the same object. Making one takes about a millisecond: make them when a
     * model or an optimizer is built.
     *
     * @throws UnsupportedOperationException if the device cannot multiply such types, with the reason
     */
    public abstract Matmul matmul(MatmulSpec spec);

    /** Closes workers, products and the native context. A second call does nothing. */
    @Override
    public abstract void close();
}
