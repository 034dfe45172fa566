package dev.muonium.checkpoint;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterState;
import dev.muonium.optim.StateTensor;
import dev.muonium.quant.BlockValues;
import dev.muonium.quant.DynamicMap;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Writes the state of an optimizer under the names of other frameworks. */
final class ForeignExport {
    /** Below so many elements bitsandbytes keeps FP32. */
    private static final long SMALLEST_8BIT = 4096;

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Device device;
    private final Optimizer optimizer;

    ForeignExport(Device device, Optimizer optimizer) {
        this.device = device;
        this.optimizer = optimizer;
    }

    void torch(Path file) {
        try (Arena arena = Arena.ofShared();
                Tensor scratch = scratch()) {
            List<PendingTensor> tensors = new ArrayList<>();
            for (Parameter parameter : optimizer.parameters()) {
                for (StateTensor tensor : state(parameter)) {
                    tensors.add(decoded(parameter, tensor, tensor.name(), scratch));
                }
                if (isAdamW(parameter)) {
                    MemorySegment step = arena.allocate(FLOAT);
                    step.set(FLOAT, 0, (float) steps(parameter)); // as torch counts
                    tensors.add(ready(parameter, "step", StoredType.F32, List.of(), step));
                }
            }
            write(file, tensors);
        }
    }

    void bitsandbytes(Path file, int block) {
        BlockFormat.requireBlock(block);
        try (Arena arena = Arena.ofShared();
                StateConversion conversion = new StateConversion(device);
                Tensor scratch = scratch()) {
            List<PendingTensor> tensors = new ArrayList<>();
            for (Parameter parameter : optimizer.parameters()) {
                int number = 0;
                for (StateTensor tensor : state(parameter)) {
                    number++;
                    if (!isAdamW(parameter)) {
                        tensors.add(decoded(parameter, tensor, tensor.name(), scratch));
                    } else if (tensor.elements() < SMALLEST_8BIT) {
                        tensors.add(decoded(parameter, tensor, "state" + number, scratch));
                    } else {
                        tensors.addAll(coded(parameter, tensor, number, block, conversion, arena));
                    }
                }
                if (isAdamW(parameter)) {
                    MemorySegment step = arena.allocate(LONG);
                    step.set(LONG, 0, steps(parameter));
                    tensors.add(ready(parameter, "step", StoredType.I64, List.of(), step));
                }
            }
            write(file, tensors);
        }
    }

    private void write(Path file, List<PendingTensor> tensors) {
        Map<String, String> metadata =
                Map.of("producer", "muonium", OptimizerSource.STEPS, String.valueOf(optimizer.steps()));
        SafetensorsWriter.writePending(file, metadata, tensors, null);
    }

    /** Room for the largest array, decoded: each is written before the next one is decoded. */
    private Tensor scratch() {
        long most = optimizer.parameters().stream()
                .mapToLong(parameter -> parameter.shape().elements())
                .max()
                .orElse(1);
        return device.memory()
                .allocateStaging(Purpose.CHECKPOINT, "state to export", ElementType.F32, Shape.of(Math.max(1, most)));
    }

    /** Without master weights, which other frameworks do not have. */
    private List<StateTensor> state(Parameter parameter) {
        return optimizer.stateInPlace(parameter.name()).tensors().stream()
                .filter(tensor -> !tensor.name().equals("master_weights"))
                .toList();
    }

    private boolean isAdamW(Parameter parameter) {
        return state(parameter).getFirst().name().equals("exp_avg");
    }

    private long steps(Parameter parameter) {
        return optimizer.stateInPlace(parameter.name()).step();
    }

    private static PendingTensor ready(
            Parameter parameter, String key, StoredType type, List<Long> shape, MemorySegment data) {
        return new PendingTensor(parameter.name() + "." + key, type, shape, () -> data);
    }

    private PendingTensor decoded(Parameter parameter, StateTensor tensor, String key, Tensor scratch) {
        return new PendingTensor(parameter.name() + "." + key, StoredType.F32, extents(parameter), () -> {
            StateTensor host = onHost(parameter, tensor.name());
            return host.format() == BlockFormat.F32 ? host.codes() : decode(host, scratch.segment());
        });
    }

    private MemorySegment decode(StateTensor host, MemorySegment target) {
        BlockValues values = values(host);
        for (long i = 0; i < host.elements(); i++) {
            target.setAtIndex(FLOAT, i, values.at(i));
        }
        return target;
    }

    private BlockValues values(StateTensor host) {
        return new BlockValues(device, host.format(), host.block(), host.codes(), host.scales());
    }

    /** Views on a CPU; on a GPU copies of this parameter's state. */
    private StateTensor onHost(Parameter parameter, String name) {
        ParameterState state = optimizer.state(parameter.name());
        return state.tensor(name);
    }

    private static List<Long> extents(Parameter parameter) {
        List<Long> extents = new ArrayList<>();
        for (int axis = 0; axis < parameter.shape().rank(); axis++) {
            extents.add(parameter.shape().extent(axis));
        }
        return extents;
    }

    /** Codes, scales and map of one array. */
    private List<PendingTensor> coded(
            Parameter parameter, StateTensor tensor, int number, int block, StateConversion conversion, Arena arena) {
        BlockFormat format = number == 1 ? BlockFormat.INT8_DYNAMIC_SIGNED : BlockFormat.INT8_DYNAMIC_UNSIGNED;
        StateTensor host = onHost(parameter, tensor.name());
        StateTensor coded = host.format() == format && host.block() == block
                ? host
                : conversion.make(tensor.name(), format, block, tensor.elements(), values(host)::at);
        MemorySegment map = arena.allocate(FLOAT, DynamicMap.SIZE);
        DynamicMap ours = DynamicMap.of(device, format);
        for (int code = 0; code < DynamicMap.SIZE; code++) {
            map.setAtIndex(FLOAT, code, ours.value(code));
        }
        return List.of(
                ready(parameter, "state" + number, StoredType.U8, extents(parameter), coded.codes()),
                ready(
                        parameter,
                        "absmax" + number,
                        StoredType.F32,
                        List.of(format.scales(tensor.elements(), block)),
                        Objects.requireNonNull(coded.scales())),
                ready(parameter, "qmap" + number, StoredType.F32, List.of((long) DynamicMap.SIZE), map));
    }
}
