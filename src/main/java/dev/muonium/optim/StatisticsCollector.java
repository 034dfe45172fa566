package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.memory.Bf16;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.quant.BlockValues;
import dev.muonium.quant.QuantizedTensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Statistics of one step from outside its kernels: weights and state are copied before it, and compared with what they are afterwards, in plain Java. A step
 * that nobody asks about knows nothing of it.
 */
final class StatisticsCollector implements AutoCloseable {
    private final Device device;
    private final List<Slot> slots;
    private final double gradientScale;
    private final Copies before;
    private final Map<Slot, Values> weights = new LinkedHashMap<>();
    private final Map<Slot.NamedState, BlockValues> state = new LinkedHashMap<>();

    /** The elements of an array that the host can read. */
    private interface Values {
        float at(long i);
    }

    /** Memory of the host for copies, until it is closed. */
    private static final class Copies implements AutoCloseable {
        private final DeviceMemory memory;
        private final Deque<Tensor> made = new ArrayDeque<>();

        Copies(DeviceMemory memory) {
            this.memory = memory;
        }

        MemorySegment copy(MemorySegment live, long bytes) {
            Tensor tensor = memory.allocateStaging(
                    Purpose.OPTIMIZER_WORKSPACE, "copies for statistics", ElementType.U8, Shape.of(bytes));
            made.push(tensor);
            if (isReadable(live)) {
                MemorySegment.copy(live, 0, tensor.segment(), 0, bytes);
            } else {
                memory.copyOut(live, 0, tensor.segment(), 0, bytes);
            }
            return tensor.segment();
        }

        /** The memory itself where Java can read it. */
        MemorySegment readable(MemorySegment live, long bytes) {
            return isReadable(live) ? live : copy(live, bytes);
        }

        /** Segments of a GPU have no length; state that it keeps with the host has. */
        private boolean isReadable(MemorySegment segment) {
            return memory.isHost() || segment.byteSize() > 0;
        }

        @Override
        public void close() {
            while (!made.isEmpty()) {
                made.pop().close();
            }
        }
    }

    /** Copies what the step will change. */
    StatisticsCollector(Device device, List<Slot> slots, double gradientScale) {
        this.device = device;
        this.slots = slots;
        this.gradientScale = gradientScale;
        this.before = new Copies(device.memory());
        try {
            for (Slot slot : slots) {
                ElementType type = weightType(slot);
                weights.put(slot, values(type, before.copy(liveWeights(slot), slot.elements() * type.byteSize())));
                for (Slot.NamedState named : slot.state()) {
                    state.put(named, decoded(named.tensor(), before, true));
                }
            }
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private static ElementType weightType(Slot slot) {
        return slot.master() == null ? slot.parameter.weightType() : ElementType.F32;
    }

    private static MemorySegment liveWeights(Slot slot) {
        MemorySegment master = slot.master();
        return master == null ? slot.parameter.weights() : master;
    }

    private static Values values(ElementType type, MemorySegment memory) {
        return type == ElementType.BF16
                ? i -> Bf16.toFloat(memory.getAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i))
                : i -> memory.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i);
    }

    private BlockValues decoded(QuantizedTensor tensor, Copies copies, boolean always) {
        BlockFormat format = tensor.format();
        MemorySegment codes = host(
                copies, tensor.codes(), tensor.elements() * format.codeType().byteSize(), always);
        MemorySegment scales = tensor.scales();
        return new BlockValues(
                device,
                format,
                tensor.block(),
                codes,
                scales == null
                        ? null
                        : host(copies, scales, format.scales(tensor.elements(), tensor.block()) * Float.BYTES, always));
    }

    private static MemorySegment host(Copies copies, MemorySegment live, long bytes, boolean always) {
        return always ? copies.copy(live, bytes) : copies.readable(live, bytes);
    }

    /** Compares, after the step was taken. */
    List<GroupStatistics> after(StepReport report) {
        Map<ParameterGroup, GroupSums> groups = new LinkedHashMap<>();
        double scale = gradientScale * report.clipFactor();
        for (Slot slot : slots) {
            GroupSums sums = groups.computeIfAbsent(slot.group, GroupSums::new);
            try (Copies now = new Copies(device.memory())) {
                add(slot, sums, scale, now);
            }
        }
        List<GroupStatistics> statistics = new ArrayList<>();
        groups.values().forEach(sums -> statistics.add(sums.statistics(gradientScale)));
        return statistics;
    }

    private void add(Slot slot, GroupSums sums, double scale, Copies now) {
        long elements = slot.elements();
        ElementType gradientType = slot.parameter.gradientType();
        Values gradient =
                values(gradientType, now.readable(slot.parameter.gradient(), elements * gradientType.byteSize()));
        ElementType type = weightType(slot);
        Values after = values(type, now.readable(liveWeights(slot), elements * type.byteSize()));
        Values first = Objects.requireNonNull(weights.get(slot));
        sums.parameters++;
        sums.elements += elements;
        for (long i = 0; i < elements; i++) {
            double g = gradient.at(i);
            double w = after.at(i);
            double update = w - first.at(i);
            sums.gradients += g * g;
            sums.updates += update * update;
            sums.weights += w * w;
        }
        for (Slot.NamedState named : slot.state()) {
            GroupSums.StateSums own = sums.state(named.name());
            boolean isVariance = named.name().equals("exp_avg_sq");
            double beta = beta(slot, isVariance);
            BlockValues old = Objects.requireNonNull(state.get(named));
            BlockValues stored = decoded(named.tensor(), now, false);
            for (long i = 0; i < elements; i++) {
                double g = scale * gradient.at(i);
                double fresh = beta * old.at(i) + (1 - beta) * (isVariance ? g * g : g);
                double error = stored.at(i) - fresh;
                own.squares += fresh * fresh;
                own.errors += error * error;
            }
            addScales(named.tensor(), own, now);
        }
    }

    private static double beta(Slot slot, boolean isVariance) {
        return switch (slot) {
            case MuonSlot muon -> muon.group.momentum();
            case AdamWSlot adamW -> isVariance ? adamW.spec.beta2() : adamW.spec.beta1();
        };
    }

    private static void addScales(QuantizedTensor tensor, GroupSums.StateSums sums, Copies now) {
        MemorySegment live = tensor.scales();
        if (live == null) {
            return;
        }
        long count = tensor.format().scales(tensor.elements(), tensor.block());
        MemorySegment scales = now.readable(live, count * Float.BYTES);
        for (long i = 0; i < count; i++) {
            float scale = scales.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i);
            if (scale == 0) {
                sums.zeroScales++;
            } else {
                // As a double even a subnormal scale is normal, and its exponent its own.
                sums.scales.merge(Math.getExponent((double) scale), 1L, Long::sum);
            }
        }
    }

    /** Frees the copies. */
    @Override
    public void close() {
        before.close();
    }
}
