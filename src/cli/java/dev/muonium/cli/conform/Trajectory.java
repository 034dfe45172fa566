package dev.muonium.cli.conform;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.optim.GroupSpec;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.StateTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
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
        try (Arena arena = Arena.ofShared()) {
            MemorySegment weights = arena.allocateFrom(ValueLayout.JAVA_FLOAT, start);
            MemorySegment recorded = arena.allocateFrom(ValueLayout.JAVA_FLOAT, gradients);
            return run(device, group, Parameter.matrix(NAME, weights, recorded, rows, cols), recorded, steps);
        }
    }

    static Result ofVector(Device device, GroupSpec group, int n, float[] start, float[] gradients, int steps) {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment weights = arena.allocateFrom(ValueLayout.JAVA_FLOAT, start);
            MemorySegment recorded = arena.allocateFrom(ValueLayout.JAVA_FLOAT, gradients);
            return run(device, group, Parameter.vector(NAME, weights, recorded, n), recorded, steps);
        }
    }

    private static Result run(Device device, GroupSpec group, Parameter parameter, MemorySegment gradients, int steps) {
        long bytes = parameter.shape().elements() * Float.BYTES;
        Parameter routed = parameter.inGroup(group.name());
        try (Optimizer optimizer = Optimizer.builder(device).group(group).build()) {
            optimizer.add(routed);
            for (int step = 0; step < steps; step++) {
                routed.gradient(gradients.asSlice(step * bytes, bytes));
                optimizer.step();
            }
            Map<String, double[]> arrays = new TreeMap<>();
            arrays.put(WEIGHTS, doubles(parameter.weights(), parameter.shape().elements()));
            for (StateTensor state : optimizer.state(NAME).tensors()) {
                arrays.put(state.name(), values(device, state));
            }
            return new Result(arrays);
        }
    }

    private static double[] values(Device device, StateTensor state) {
        if (state.format() == BlockFormat.F32) {
            return doubles(state.codes(), state.elements());
        }
        try (Arena arena = Arena.ofShared()) {
            MemorySegment values = arena.allocate(state.elements() * Float.BYTES, Float.BYTES);
            device.kernels()
                    .dequantize(
                            state.format(),
                            state.block(),
                            state.codes(),
                            state.scales(),
                            values,
                            ElementType.F32,
                            0,
                            state.elements());
            return doubles(values, state.elements());
        }
    }

    static double[] doubles(MemorySegment floats, long elements) {
        double[] values = new double[Math.toIntExact(elements)];
        for (int i = 0; i < values.length; i++) {
            values[i] = floats.getAtIndex(ValueLayout.JAVA_FLOAT, i);
        }
        return values;
    }
}
