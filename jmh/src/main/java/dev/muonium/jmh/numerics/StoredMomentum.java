package dev.muonium.jmh.numerics;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.quant.QuantizedTensor;
import java.lang.foreign.ValueLayout;

/** The momentum of a matrix as it is stored: taken out, moved on and put back at every step, as the optimizer does it. */
final class StoredMomentum implements AutoCloseable {
    private final QuantizedTensor stored;
    private final Tensor fresh;

    StoredMomentum(Device device, BlockFormat format, int block, long elements) {
        this.stored = QuantizedTensor.allocate(device, Purpose.OPTIMIZER_STATE, "momentum", format, block, elements);
        this.fresh = device.allocate(Purpose.WORKSPACE, "fresh momentum", ElementType.F32, Shape.of(elements));
    }

    /** {@code m = β·m + (1 - β)·g}, from what is stored, in FP32; returns {@code u = (1 - β)·g + β·m}, from the m that is not rounded yet. */
    float[] step(float[] gradient, float beta) {
        float[] momentum = stored.toFloatArray();
        float[] update = new float[momentum.length];
        for (int i = 0; i < momentum.length; i++) {
            momentum[i] = beta * momentum[i] + (1 - beta) * gradient[i];
            update[i] = (1 - beta) * gradient[i] + beta * momentum[i];
        }
        put(momentum);
        return update;
    }

    /** Rounds values into the format. */
    void put(float[] values) {
        fresh.copyFrom(values);
        stored.quantizeFrom(fresh);
    }

    /** What is stored. */
    float[] values() {
        return stored.toFloatArray();
    }

    /** How often the codes have each magnitude, of signed linear ones. */
    void countMagnitudes(long[] counts) {
        for (long i = 0; i < stored.elements(); i++) {
            counts[Math.abs(stored.codes().get(ValueLayout.JAVA_BYTE, i))]++;
        }
    }

    @Override
    public void close() {
        stored.close();
        fresh.close();
    }
}
