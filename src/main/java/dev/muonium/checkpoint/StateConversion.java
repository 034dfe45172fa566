package dev.muonium.checkpoint;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.StateTensor;
import dev.muonium.quant.QuantizedTensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Deque;

/** Arrays of state made in another format, in memory of the host that is kept until this is closed; the ledger counts it. */
final class StateConversion implements AutoCloseable {
    private static final int CHUNK = 1 << 16;

    private final Device device;
    private final Deque<Tensor> made = new ArrayDeque<>();

    /** The values of an array. */
    interface Values {
        float at(long i);
    }

    StateConversion(Device device) {
        this.device = device;
    }

    /** Makes an array by the device's kernels, as a step would store it. */
    StateTensor make(String name, BlockFormat format, int block, long elements, Values values) {
        MemorySegment codes = keep(name, format.codeType(), elements);
        if (!format.isScaled()) {
            for (long i = 0; i < elements; i++) {
                codes.setAtIndex(ValueLayout.JAVA_FLOAT, i, values.at(i));
            }
            return new StateTensor(name, format, block, elements, codes, null);
        }
        long count = format.scales(elements, block);
        MemorySegment scales = keep(name + ".scales", ElementType.F32, count);
        try (Tensor decoded =
                        device.allocate(Purpose.CHECKPOINT, "state to quantize", ElementType.F32, Shape.of(elements));
                QuantizedTensor quantized = QuantizedTensor.allocate(
                        device, Purpose.CHECKPOINT, "quantized state", format, block, elements)) {
            fill(decoded, values);
            quantized.quantizeFrom(decoded);
            device.memory().copyOut(quantized.codes(), 0, codes, 0, elements);
            MemorySegment from = quantized.scales();
            if (from != null) {
                device.memory().copyOut(from, 0, scales, 0, count * Float.BYTES);
            }
        }
        if (format == BlockFormat.INT8_DYNAMIC_UNSIGNED) {
            liftPositive(codes, elements, values);
        }
        return new StateTensor(name, format, block, elements, codes, scales);
    }

    private MemorySegment keep(String name, ElementType type, long elements) {
        Tensor tensor = device.memory().allocateStaging(Purpose.CHECKPOINT, name, type, Shape.of(elements));
        made.push(tensor);
        return tensor.segment();
    }

    private void fill(Tensor target, Values values) {
        float[] chunk = new float[(int) Math.min(CHUNK, target.elements())];
        MemorySegment from = MemorySegment.ofArray(chunk);
        for (long begin = 0; begin < target.elements(); begin += chunk.length) {
            int count = (int) Math.min(chunk.length, target.elements() - begin);
            for (int i = 0; i < count; i++) {
                chunk[i] = values.at(begin + i);
            }
            device.memory().copyIn(from, 0, target.segment(), begin * Float.BYTES, (long) count * Float.BYTES);
        }
    }

    /** As AdamW's kernel stores v: with a v of 0, an m that is not 0 would be divided by ε alone. */
    private static void liftPositive(MemorySegment codes, long elements, Values values) {
        for (long i = 0; i < elements; i++) {
            if (codes.get(ValueLayout.JAVA_BYTE, i) == 0 && values.at(i) > 0) {
                codes.set(ValueLayout.JAVA_BYTE, i, (byte) 1);
            }
        }
    }

    /** Frees what was made. */
    @Override
    public void close() {
        while (!made.isEmpty()) {
            made.pop().close();
        }
    }
}
