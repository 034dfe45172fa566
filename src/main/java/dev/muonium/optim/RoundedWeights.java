package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.device.Rounding;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * What an update of weights in place needs beside them, so that BF16 does not lose it: an FP32 copy, or the key of stochastic rounding, as {@link WeightRounding}
 * says; of FP32 weights nothing. Owns it; the weights stay the caller's. Not thread-safe.
 */
public final class RoundedWeights implements AutoCloseable {
    private final long key;
    private final @Nullable Tensor master;
    private final @Nullable Rounding rounding;

    /**
     * Allocates it, and fills the copy.
     *
     * @param name of the parameter
     * @param weights on the device
     * @param type F32 or BF16
     */
    public RoundedWeights(
            Device device, String name, MemorySegment weights, ElementType type, Shape shape, WeightRounding how) {
        this.key = hash(name);
        boolean rounds = type == ElementType.BF16;
        this.master =
                rounds && how == WeightRounding.MASTER_WEIGHTS ? masterOf(device, name, weights, type, shape) : null;
        this.rounding =
                rounds && how == WeightRounding.STOCHASTIC ? device.kernels().newRounding() : null;
    }

    private static Tensor masterOf(Device device, String name, MemorySegment weights, ElementType type, Shape shape) {
        Tensor copy = device.allocate(Purpose.MASTER_WEIGHTS, name + ".master_weights", ElementType.F32, shape);
        long cols = shape.elements();
        try {
            device.kernels().scale(1, weights, type, cols, copy.segment(), ElementType.F32, cols, cols, 0, 1);
        } catch (RuntimeException e) {
            copy.close();
            throw e;
        }
        return copy;
    }

    /** FNV-1a: the key of stochastic rounding follows the name, so that it survives adding, removing and resuming. */
    private static long hash(String name) {
        long hash = 0xcbf29ce484222325L;
        for (int i = 0; i < name.length(); i++) {
            hash = (hash ^ name.charAt(i)) * 0x100000001b3L;
        }
        return hash;
    }

    /** The FP32 copy, dense; null where there is none. */
    public @Nullable Tensor master() {
        return master;
    }

    /** The key that kernels read; null where nothing is rounded stochastically. */
    public @Nullable Rounding rounding() {
        return rounding;
    }

    /** What the key of stochastic rounding follows: the parameter's name. */
    public long key() {
        return key;
    }

    /**
     * Sets what kernels read, if they round stochastically.
     *
     * @param part of the parameter that is updated by itself, from 0
     */
    public void keyRounding(long seed, long step, long part) {
        if (rounding != null) {
            rounding.set(seed, step, key + part);
        }
    }

    /** Frees copy and key. A second call does nothing. */
    @Override
    public void close() {
        if (master != null) {
            master.close();
        }
        if (rounding != null) {
            rounding.close();
        }
    }
}
