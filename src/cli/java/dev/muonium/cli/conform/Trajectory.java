package dev.muonium.cli.conform;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.GroupSpec;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StateTensor;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/** Takes the steps of an optimizer over recorded gradients, from recorded weights. */
final class Trajectory {
    private static final String NAME = "recorded";
    private static final String WEIGHTS = "weights";

    private Trajectory() {}

    /**
     * Where it ended.
     *
     * @param arrays the weights after the last step, and the optimizer's arrays by name, dequantized
     */
    record Result(Map<String, double[]> arrays) {
        double[] weights() {
            return array(WEIGHTS);
        }

        double[] state(String name) {
            return array(name);
        }

        private double[] array(String name) {
            double[] array = arrays.get(name);
            if (array == null) {
                throw new IllegalStateException("there is no array '" + name + "' but " + arrays.keySet());
            }
            return array;
        }
    }

    static Result ofMatrix(
            Device device, GroupSpec group, int rows, int cols, float[] start, float[] gradients, int steps) {
        return run(device, group, ParameterKind.MATRIX, Shape.of(rows, cols), start, gradients, steps);
    }

    static Result ofVector(Device device, GroupSpec group, int n, float[] start, float[] gradients, int steps) {
        return run(device, group, ParameterKind.VECTOR, Shape.of(n), start, gradients, steps);
    }

    private static Result run(
            Device device,
            GroupSpec group,
            ParameterKind kind,
            Shape shape,
            float[] start,
            float[] gradients,
            int steps) {
        long bytes = shape.elements() * Float.BYTES;
        try (Tensor weights = device.allocate(Purpose.WEIGHTS, NAME, ElementType.F32, shape);
                Tensor recorded =
                        device.allocate(Purpose.GRADIENTS, NAME, ElementType.F32, Shape.of(steps, shape.elements()));
                Optimizer optimizer = Optimizer.builder(device).group(group).build()) {
            weights.copyFrom(start);
            recorded.copyFrom(gradients);
            Parameter parameter = Parameter.of(
                            NAME,
                            kind,
                            shape,
                            weights.segment(),
                            ElementType.F32,
                            gradient(device, recorded, 0, bytes),
                            ElementType.F32)
                    .inGroup(group.name());
            optimizer.add(parameter);
            for (int step = 0; step < steps; step++) {
                parameter.gradient(gradient(device, recorded, step, bytes));
                optimizer.step();
            }
            Map<String, double[]> arrays = new TreeMap<>();
            arrays.put(WEIGHTS, doubles(weights.toFloatArray()));
            for (StateTensor state : optimizer.state(NAME).tensors()) {
                arrays.put(state.name(), values(device, state));
            }
            return new Result(arrays);
        }
    }

    private static MemorySegment gradient(Device device, Tensor recorded, int step, long bytes) {
        return device.memory().slice(recorded.segment(), step * bytes, bytes);
    }

    /** Of a device whose memory Java cannot read, the state is a copy on the host, and goes back to be dequantized. */
    private static double[] values(Device device, StateTensor state) {
        try (Tensor codes = copy(device, state.format().codeType(), state.elements(), state.codes());
                Tensor values = device.allocate(Purpose.DATA, NAME, ElementType.F32, Shape.of(state.elements()))) {
            if (state.format() == BlockFormat.F32) {
                return doubles(codes.toFloatArray());
            }
            MemorySegment hostScales = Objects.requireNonNull(state.scales());
            long blocks = state.format().scales(state.elements(), state.block());
            try (Tensor scales = copy(device, ElementType.F32, blocks, hostScales)) {
                device.kernels()
                        .dequantize(
                                state.format(),
                                state.block(),
                                codes.segment(),
                                scales.segment(),
                                values.segment(),
                                ElementType.F32,
                                0,
                                state.elements());
                return doubles(values.toFloatArray());
            }
        }
    }

    private static Tensor copy(Device device, ElementType type, long elements, MemorySegment host) {
        Tensor tensor = device.allocate(Purpose.DATA, NAME, type, Shape.of(elements));
        device.memory().copyIn(host, 0, tensor.segment(), 0, tensor.byteSize());
        return tensor;
    }

    static double[] doubles(float[] floats) {
        double[] values = new double[floats.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = floats[i];
        }
        return values;
    }
}
