package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Adds up the gradients of micro-batches, for frameworks that make new ones each time: {@code A ← A + scale·g}, in FP32 also where g is bf16. A step over N
 * micro-batches with {@code scale = 1/N} is that over one batch N times as large, to rounding, with the activations of one.
 *
 * <pre>{@code
 * GradientAccumulator sums = new GradientAccumulator(device);
 * optimizer.add(Parameter.of(ParameterKind.MATRIX, weights, sums.add("blocks.0.attn.q", weights.shape())));
 * for (…) {
 *     sums.zero();
 *     for (int micro = 0; micro < n; micro++) {
 *         // forward and backward of the framework, then for each parameter
 *         sums.accumulate("blocks.0.attn.q", gradientOfTheFramework, ElementType.BF16, 1.0 / n);
 *     }
 *     optimizer.step(); // clips the norm of the sums
 * }
 * }</pre>
 *
 * <p>A gradient that is not finite makes the sum so, and the optimizer leaves the step out. The bits do not depend on the number of threads.
 *
 * <p>Owns the sums, which the ledger counts under {@link Purpose#GRADIENTS}; nothing is allocated by {@link #accumulate} and {@link #zero}. Not thread-safe. Close it
 * behind the optimizer.
 */
public final class GradientAccumulator implements AutoCloseable {
    private final Device device;
    private final DeviceMemory memory;
    private final Map<String, Tensor> sums = new LinkedHashMap<>();

    /** Makes one without a sum. */
    public GradientAccumulator(Device device) {
        this.device = device;
        this.memory = device.memory();
    }

    /**
     * Adds a sum, which is 0.
     *
     * @return the sum, FP32; it stays this object's
     * @throws IllegalArgumentException if there is one of that name
     */
    public Tensor add(String name, Shape shape) {
        if (sums.containsKey(name)) {
            throw new IllegalArgumentException("gradients of '" + name + "' are accumulated already; names are unique");
        }
        Tensor sum = device.allocate(Purpose.GRADIENTS, name + " (accumulated)", ElementType.F32, shape);
        sums.put(name, sum);
        return sum;
    }

    /**
     * The sum of a name.
     *
     * @throws IllegalArgumentException if there is none
     */
    public Tensor sum(String name) {
        Tensor sum = sums.get(name);
        if (sum == null) {
            throw new IllegalArgumentException(
                    "no gradients of '" + name + "' are accumulated; there are those of " + sums.keySet());
        }
        return sum;
    }

    /**
     * Adds the gradient of a micro-batch.
     *
     * @param gradient as many elements as the sum, dense, on the device; only read
     * @param type FP32 or BF16
     * @param scale what it is multiplied by
     * @throws IllegalArgumentException if there is no such sum, the memory does not hold as many elements, or the type is another one
     */
    public void accumulate(String name, MemorySegment gradient, ElementType type, double scale) {
        Tensor sum = sum(name);
        float factor = Ranges.requireFactor("the scale of a gradient", scale);
        if (type != ElementType.F32 && type != ElementType.BF16) {
            throw new IllegalArgumentException(
                    "the gradient of '" + name + "' is " + type + "; it must be F32 or BF16");
        }
        long elements = sum.elements();
        memory.requireReadable(name + " (gradient)", gradient, type, elements);
        long chunk = memory.isHost() ? Chunks.SIZE : elements;
        int tasks = Math.toIntExact((elements + chunk - 1) / chunk);
        device.workers().run(tasks, (task, worker) -> {
            long begin = task * chunk;
            long count = Math.min(chunk, elements - begin);
            MemorySegment part = memory.slice(sum.segment(), begin * Float.BYTES, count * Float.BYTES);
            device.kernels()
                    .axpby(
                            factor,
                            memory.slice(gradient, begin * type.byteSize(), count * type.byteSize()),
                            type,
                            count,
                            1,
                            part,
                            ElementType.F32,
                            count,
                            part,
                            ElementType.F32,
                            count,
                            count,
                            0,
                            1);
        });
    }

    /** Sets all sums to 0. */
    public void zero() {
        for (Tensor sum : sums.values()) {
            memory.zero(sum.segment(), 0, sum.byteSize());
        }
    }

    /** Frees the sums. A second call does nothing. */
    @Override
    public void close() {
        sums.values().forEach(Tensor::close);
        sums.clear();
    }
}
