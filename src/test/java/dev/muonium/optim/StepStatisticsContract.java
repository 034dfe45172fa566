package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.quant.DynamicMap;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Statistics of a step against the formulas in FP64, from what can be read of the optimizer before and after it. */
abstract class StepStatisticsContract {
    private static final double SCALE = 0.5;

    abstract Device openDevice();

    private static Optimizer.Builder builder(Device device, StateFormat format) {
        return Optimizer.builder(device)
                .group(Muon.defaults().state(format).block(64))
                .group(AdamW.defaults().betas(0.8, 0.95).state(format).block(64))
                .clipGlobalNorm(3)
                .weightRounding(WeightRounding.MASTER_WEIGHTS);
    }

    /** Decoded by the formulas of the formats, not by the library. */
    private static double[] decoded(Device device, StateTensor tensor) {
        float[] map = new float[DynamicMap.SIZE];
        if (tensor.format() != BlockFormat.F32 && tensor.format() != BlockFormat.INT8_LINEAR) {
            DynamicMap dynamic = DynamicMap.of(device, tensor.format());
            for (int code = 0; code < map.length; code++) {
                map[code] = dynamic.value(code);
            }
        }
        double[] values = new double[(int) tensor.elements()];
        for (int i = 0; i < values.length; i++) {
            if (tensor.format() == BlockFormat.F32) {
                values[i] = tensor.codes().getAtIndex(ValueLayout.JAVA_FLOAT, i);
            } else {
                byte code = tensor.codes().get(ValueLayout.JAVA_BYTE, i);
                float scale = tensor.scales().getAtIndex(ValueLayout.JAVA_FLOAT, i / tensor.block());
                values[i] = tensor.format() == BlockFormat.INT8_LINEAR ? code * scale : map[code & 0xFF] * scale;
            }
        }
        return values;
    }

    private static Map<String, double[]> state(Device device, Optimizer optimizer, Model model) {
        Map<String, double[]> all = new HashMap<>();
        for (Parameter parameter : model.parameters()) {
            for (StateTensor tensor : optimizer.state(parameter.name()).tensors()) {
                all.put(parameter.name() + "." + tensor.name(), decoded(device, tensor));
            }
        }
        return all;
    }

    private static double[] doubles(float[] values) {
        double[] doubles = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            doubles[i] = values[i];
        }
        return doubles;
    }

    private static final class Sum {
        double squares;
        long count;

        void add(double value) {
            squares += value * value;
            count++;
        }

        double rms() {
            return Math.sqrt(squares / count);
        }
    }

    @ParameterizedTest
    @EnumSource(StateFormat.class)
    void areTheFormulas(StateFormat format) {
        try (Device device = openDevice();
                Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer = builder(device, format).build()) {
            optimizer.addAll(model.parameters());
            for (int step = 0; step < 3; step++) {
                model.newGradients();
                optimizer.step();
            }
            model.newGradients();
            Map<String, double[]> before = state(device, optimizer, model);
            Map<String, float[]> weights = model.snapshot();
            long held = device.ledger().total();

            StepStatistics statistics = optimizer.stepWithStatistics(SCALE);

            assertEquals(held, device.ledger().total(), "the copies are freed");
            assertTrue(statistics.report().clipFactor() < 1);
            Map<String, double[]> after = state(device, optimizer, model);
            double all = 0;
            for (GroupStatistics group : statistics.groups()) {
                check(group, model, statistics.report(), before, after, weights);
                all += group.gradientNorm() * group.gradientNorm();
                for (StateStatistics each : group.state()) {
                    checkScales(group, each, optimizer, model);
                    checkSizeOfError(each, format);
                }
            }
            assertEquals(statistics.report().gradientNorm(), Math.sqrt(all), 1e-6 * Math.sqrt(all));
            assertEquals(
                    List.of("muon", "adamw"),
                    statistics.groups().stream().map(GroupStatistics::group).toList());
            assertThrows(IllegalArgumentException.class, () -> statistics.group("none"));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> statistics.group("muon").state("exp_avg"));
        }
    }

    private static List<Parameter> members(GroupStatistics group, Model model) {
        return model.parameters().stream()
                .filter(parameter ->
                        parameter.kind().isForMuon() == group.optimizer().equals("muon"))
                .toList();
    }

    private static void check(
            GroupStatistics group,
            Model model,
            StepReport report,
            Map<String, double[]> before,
            Map<String, double[]> after,
            Map<String, float[]> weights) {
        List<Parameter> members = members(group, model);
        Sum gradients = new Sum();
        Sum updates = new Sum();
        Sum last = new Sum();
        for (Parameter parameter : members) {
            double[] old = doubles(weights.get(parameter.name()));
            double[] now = doubles(model.weight(parameter.name()).toFloatArray());
            double[] g = doubles(model.gradient(parameter.name()).toFloatArray());
            for (int i = 0; i < g.length; i++) {
                gradients.add(SCALE * g[i]);
                updates.add(now[i] - old[i]);
                last.add(now[i]);
            }
        }
        assertEquals(members.size(), group.parameters());
        assertEquals(gradients.count, group.elements());
        assertEquals(Math.sqrt(gradients.squares), group.gradientNorm(), 1e-12 * Math.sqrt(gradients.squares));
        assertEquals(updates.rms(), group.updateRms(), 1e-12 * updates.rms());
        assertEquals(last.rms(), group.weightRms(), 1e-12 * last.rms());
        assertTrue(group.updateRms() > 0);

        Map<String, Double> betas = Map.of("momentum_buffer", 0.95, "exp_avg", 0.8, "exp_avg_sq", 0.95);
        for (StateStatistics each : group.state()) {
            double beta = betas.get(each.name());
            Sum fresh = new Sum();
            Sum error = new Sum();
            for (Parameter parameter : members) {
                String key = parameter.name() + "." + each.name();
                double[] g = doubles(model.gradient(parameter.name()).toFloatArray());
                for (int i = 0; i < g.length; i++) {
                    double scaled = SCALE * report.clipFactor() * g[i];
                    double input = each.name().equals("exp_avg_sq") ? scaled * scaled : scaled;
                    double x = beta * before.get(key)[i] + (1 - beta) * input;
                    fresh.add(x);
                    error.add(after.get(key)[i] - x);
                }
            }
            assertEquals(fresh.rms(), each.rms(), 1e-12 * fresh.rms(), each.name());
            assertEquals(error.rms(), each.quantizationError(), 1e-9 * fresh.rms(), each.name());
        }
    }

    /** Of INT8 linear at most half a step, 1/254 of the block's largest; of FP32 a rounding. */
    private static void checkSizeOfError(StateStatistics each, StateFormat format) {
        double relative = each.quantizationError() / each.rms();
        if (format == StateFormat.FP32) {
            assertTrue(relative < 1e-7, each.name() + " " + relative);
        } else {
            assertTrue(relative > 1e-4 && relative < 0.03, each.name() + " " + relative);
        }
    }

    private static void checkScales(GroupStatistics group, StateStatistics each, Optimizer optimizer, Model model) {
        Map<Integer, Long> expected = new TreeMap<>();
        for (Parameter parameter : members(group, model)) {
            StateTensor tensor = optimizer.state(parameter.name()).tensor(each.name());
            if (tensor.scales() != null) {
                for (float scale : tensor.scales().toArray(ValueLayout.JAVA_FLOAT)) {
                    expected.merge((int) Math.floor(Math.log(scale) / Math.log(2)), 1L, Long::sum);
                }
            }
        }
        assertEquals(expected, each.scales(), each.name());
        assertEquals(0, each.zeroScales());
    }

    @Test
    void theStepIsTheSameBits() {
        try (Device device = openDevice();
                Model first = Model.small(device, ElementType.BF16);
                Model second = Model.small(device, ElementType.BF16);
                Optimizer plain = builder(device, StateFormat.INT8).build();
                Optimizer asked = builder(device, StateFormat.INT8).build()) {
            plain.addAll(first.parameters());
            asked.addAll(second.parameters());
            for (int step = 0; step < 3; step++) {
                first.newGradients();
                second.newGradients();
                StepReport report = plain.step();
                assertEquals(report, asked.stepWithStatistics().report());
            }
            first.snapshot()
                    .forEach((name, values) ->
                            assertArrayEquals(values, second.weight(name).toFloatArray()));
        }
    }

    /** The update of BF16 weights is smaller than their rounding, and seen in the copy. */
    @Test
    void masterWeightsAreTheOnesThatAreCompared() {
        try (Device device = openDevice();
                Model model = Model.small(device, ElementType.BF16);
                Optimizer optimizer = Optimizer.builder(device)
                        .group(Muon.defaults().learningRate(1e-6).weightDecay(0))
                        .group(AdamW.defaults().learningRate(1e-6).weightDecay(0))
                        .weightRounding(WeightRounding.MASTER_WEIGHTS)
                        .build()) {
            optimizer.addAll(model.parameters());
            model.newGradients();

            double rms = optimizer.stepWithStatistics().group("adamw").updateRms();

            assertEquals(1e-6, rms, 2e-8); // the first step of AdamW is lr·sign(g)
        }
    }

    @Test
    void frozenParametersTakeNoPartAndZerosHaveTheScaleZero() {
        try (Device device = openDevice();
                Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer = builder(device, StateFormat.INT8).build()) {
            optimizer.addAll(model.parameters());
            model.newGradients();
            model.gradient("attn").copyFrom(new float[96 * 96]);
            model.parameter("mlp").frozen(true);

            GroupStatistics muon = optimizer.stepWithStatistics().group("muon");

            assertEquals(1, muon.parameters());
            assertEquals(96 * 96, muon.elements());
            assertEquals(0, muon.gradientNorm());
            StateStatistics momentum = muon.state("momentum_buffer");
            assertEquals(Map.of(), momentum.scales());
            assertEquals(96 * 96 / 64, momentum.zeroScales());
            assertEquals(0, momentum.quantizationError());
        }
    }

    @Test
    void aStepThatIsLeftOutHasNone() {
        try (Device device = openDevice();
                Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer = builder(device, StateFormat.INT8).build()) {
            optimizer.addAll(model.parameters());
            model.newGradients().gradient("gain").setFloat(1, Float.NaN);

            StepStatistics statistics = optimizer.stepWithStatistics();

            assertEquals("gain", statistics.report().nonFiniteParameter());
            assertEquals(List.of(), statistics.groups());
            assertThrows(IllegalArgumentException.class, () -> optimizer.stepWithStatistics(Double.NaN));
        }
    }
}
