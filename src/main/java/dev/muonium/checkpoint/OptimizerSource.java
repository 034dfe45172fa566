package dev.muonium.checkpoint;

import dev.muonium.memory.BlockFormat;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterState;
import dev.muonium.optim.StateTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The state of an optimizer: per parameter {@code <parameter>.momentum_buffer}, or {@code .exp_avg} and {@code .exp_avg_sq},
 * {@code .master_weights} where there are some, their {@code .scales} where they are quantized, and {@code .step}. What the codes mean stands in the
 * metadata, for example {@code "format of blocks.0.attn.q.momentum_buffer": "int8_linear, block 128"}.
 */
final class OptimizerSource implements StateSource {
    private static final String STEP = ".step";
    private static final String SCALES = ".scales";
    private static final String FORMAT = "format of ";
    static final String STEPS = "optimizer steps";
    private static final ValueLayout.OfLong COUNT = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Optimizer optimizer;

    OptimizerSource(Optimizer optimizer) {
        this.optimizer = optimizer;
    }

    @Override
    public String part() {
        return CheckpointPart.OPTIMIZER;
    }

    @Override
    public List<LiveTensor> tensors() {
        List<LiveTensor> live = new ArrayList<>();
        for (Parameter parameter : optimizer.parameters()) {
            ParameterState state = optimizer.stateInPlace(parameter.name());
            MemorySegment step = Arena.ofAuto().allocate(ValueLayout.JAVA_LONG);
            step.set(COUNT, 0, state.step());
            live.add(new LiveTensor(parameter.name() + STEP, StoredType.I64, List.of(), step));
            for (StateTensor tensor : state.tensors()) {
                String name = parameter.name() + "." + tensor.name();
                live.add(new LiveTensor(name, codeType(tensor), List.of(tensor.elements()), tensor.codes()));
                if (tensor.scales() != null) {
                    live.add(new LiveTensor(name + SCALES, StoredType.F32, List.of(scales(tensor)), tensor.scales()));
                }
            }
        }
        return live;
    }

    private static long scales(StateTensor tensor) {
        return tensor.format().scales(tensor.elements(), tensor.block());
    }

    private static StoredType codeType(StateTensor tensor) {
        return StoredType.of(tensor.format().codeType());
    }

    private static String form(StateTensor tensor) {
        String format = tensor.format().name().toLowerCase(Locale.ROOT);
        return tensor.format().isScaled() ? format + ", block " + tensor.block() : format;
    }

    @Override
    public Map<String, String> metadata() {
        Map<String, String> metadata = new TreeMap<>();
        metadata.put(STEPS, String.valueOf(optimizer.steps()));
        for (Parameter parameter : optimizer.parameters()) {
            for (StateTensor tensor : optimizer.stateInPlace(parameter.name()).tensors()) {
                metadata.put(FORMAT + parameter.name() + "." + tensor.name(), form(tensor));
            }
        }
        return metadata;
    }

    @Override
    public void check(Safetensors file) {
        steps(file);
        for (Parameter parameter : optimizer.parameters()) {
            scalar(file, parameter.name() + STEP);
            for (StateTensor tensor : optimizer.stateInPlace(parameter.name()).tensors()) {
                String name = parameter.name() + "." + tensor.name();
                String there = file.metadata().get(FORMAT + name);
                if (!form(tensor).equals(there)) {
                    throw new CheckpointException("the state '" + name + "' of '" + file.file() + "' is "
                            + (there == null ? "not there" : there) + ", and " + form(tensor) + " here");
                }
                StoredTensor codes = require(file, name, codeType(tensor), tensor.elements());
                if (tensor.scales() != null) {
                    requireFinite(file, require(file, name + SCALES, StoredType.F32, scales(tensor)));
                } else {
                    requireFinite(file, codes);
                }
            }
        }
    }

    /** What is not finite would never leave the state again; it must be found before anything is restored. */
    private static void requireFinite(Safetensors file, StoredTensor tensor) {
        for (long i = 0; i < tensor.elements(); i++) {
            float value = tensor.data().get(FLOAT, i * Float.BYTES);
            if (!Float.isFinite(value)) {
                throw new CheckpointException("the tensor '" + tensor.name() + "' of '" + file.file() + "' holds "
                        + value + " at " + i + "; it must be finite");
            }
        }
    }

    private static StoredTensor require(Safetensors file, String name, StoredType type, long elements) {
        Optional<StoredTensor> found = file.find(name);
        if (found.isEmpty()) {
            throw new CheckpointException("'" + file.file() + "' has no tensor '" + name + "'");
        }
        StoredTensor stored = found.get();
        if (stored.type() != type || stored.elements() != elements) {
            throw new CheckpointException("the tensor '" + name + "' of '" + file.file() + "' is " + stored.type() + " "
                    + stored.shape() + ", and " + type + " [" + elements + "] here");
        }
        return stored;
    }

    private static long scalar(Safetensors file, String name) {
        long value = require(file, name, StoredType.I64, 1).data().get(COUNT, 0);
        if (value < 0) {
            throw new CheckpointException(
                    "'" + name + "' of '" + file.file() + "' is " + value + "; it must not be negative");
        }
        return value;
    }

    private static long steps(Safetensors file) {
        String text = file.metadata().getOrDefault(STEPS, "");
        if (!text.matches("\\d{1,18}")) {
            throw new CheckpointException(
                    "'" + file.file() + "' says '" + text + "' for " + STEPS + "; it must be a count");
        }
        return Long.parseLong(text);
    }

    @Override
    public void restore(Safetensors file) {
        for (Parameter parameter : optimizer.parameters()) {
            List<StateTensor> restored = new ArrayList<>();
            for (StateTensor tensor : optimizer.stateInPlace(parameter.name()).tensors()) {
                String name = parameter.name() + "." + tensor.name();
                BlockFormat format = tensor.format();
                restored.add(new StateTensor(
                        tensor.name(),
                        format,
                        tensor.block(),
                        tensor.elements(),
                        file.tensor(name).data(),
                        format.isScaled() ? file.tensor(name + SCALES).data() : null));
            }
            optimizer.restore(parameter.name(), new ParameterState(scalar(file, parameter.name() + STEP), restored));
        }
        optimizer.steps(steps(file));
    }
}
