package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.NonFiniteGradientException;
import dev.muonium.device.Device;
import dev.muonium.memory.Bf16;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.ortho.NewtonSchulz;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What an optimizer promises on every device, beside the numbers: memory, atomicity, determinism, routing and sentences. */
abstract class OptimizerContract {
    protected Device device;

    /** The device to test. */
    protected abstract Device openDevice();

    /** Bytes that the device aligns arrays to. */
    protected long alignment() {
        return 64;
    }

    /** Checks weights that are the same but for how many matrices were worked on together. */
    protected void assertSameForOtherBatches(Map<String, float[]> expected, Map<String, float[]> actual) {
        assertSame(expected, actual);
    }

    /** An optimizer that steps in the way to test. */
    protected Optimizer.Builder builder(Device on) {
        return Optimizer.builder(on);
    }

    @BeforeEach
    void open() {
        device = openDevice();
    }

    @AfterEach
    void closeWithNothingLeft() {
        long left = device.ledger().total() - device.ledger().bytes(Purpose.WORKSPACE);
        device.close();
        assertEquals(0, left, "bytes that an owner did not free: " + device.ledger());
        assertEquals(0, device.ledger().total(), "bytes that the device did not free");
    }

    protected final Optimizer.Builder int8() {
        return builder(device)
                .group(Muon.defaults().state(StateFormat.INT8))
                .group(AdamW.defaults().learningRate(3e-3).state(StateFormat.INT8));
    }

    protected final Optimizer.Builder fp32() {
        return builder(device).group(Muon.defaults()).group(AdamW.defaults().learningRate(3e-3));
    }

    @Test
    void bytesHeldAreBytesCounted() {
        try (Model model = Model.small(device, ElementType.F32);
                Optimizer full = fp32().build();
                Optimizer small = int8().build()) {
            full.addAll(model.parameters());
            long fullBytes = device.ledger().bytes(Purpose.OPTIMIZER_STATE);
            long muonElements = 96 * 96 + 80 * 200;
            long adamElements = 300 * 64 + 64 * 300 + 77;
            assertEquals(4 * muonElements + 8 * adamElements, full.stateBytes());
            assertAllocated(full.stateBytes(), 8, fullBytes);

            small.addAll(model.parameters());
            long smallBytes = device.ledger().bytes(Purpose.OPTIMIZER_STATE) - fullBytes;
            long muonBytes = muonElements + 4 * (72 + 125);
            long adamBytes = 2 * adamElements + 2 * 4 * (150 + 150 + 1);
            assertEquals(Map.of("muon", muonBytes, "adamw", adamBytes), small.stateBytesByOptimizer());
            assertAllocated(muonBytes + adamBytes, 16, smallBytes);
            assertTrue(small.stateBytes() < 0.2582 * full.stateBytes(), small.stateBytes() + " bytes");
        }
    }

    /** From zeros, what is stored does not yet count. */
    @Test
    void theFirstStepWithInt8StateIsExactlyTheFp32Step() {
        try (Model a = Model.small(device, ElementType.F32).newGradients();
                Model b = Model.small(device, ElementType.F32).newGradients();
                Optimizer full = fp32().build();
                Optimizer small = int8().build()) {
            full.addAll(a.parameters());
            small.addAll(b.parameters());
            full.step();
            small.step();
            assertSame(a.snapshot(), b.snapshot());
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"INT8", "INT8_DYNAMIC"})
    void tenStepsWithEightBitsStayNearFp32(StateFormat format) {
        try (Model a = Model.small(device, ElementType.F32);
                Model b = Model.small(device, ElementType.F32);
                Optimizer full = fp32().build();
                Optimizer small = builder(device)
                        .group(Muon.defaults().state(format))
                        .group(AdamW.defaults().learningRate(3e-3).state(format))
                        .build()) {
            full.addAll(a.parameters());
            small.addAll(b.parameters());
            for (int step = 0; step < 10; step++) {
                a.newGradients();
                b.newGradients();
                full.step();
                small.step();
            }
            int outliers = 0;
            int count = 0;
            Map<String, float[]> other = b.snapshot();
            for (Map.Entry<String, float[]> entry : a.snapshot().entrySet()) {
                float[] x = entry.getValue();
                float[] y = other.get(entry.getKey());
                for (int i = 0; i < x.length; i++) {
                    outliers += Math.abs(x[i] - y[i]) > 2e-2 ? 1 : 0;
                }
                count += x.length;
                assertFalse(Arrays.equals(x, y), entry.getKey() + " has no quantized state at all");
            }
            assertTrue(outliers <= 0.05 * count, outliers + " outliers of " + count);
        }
    }

    /** The embedding of a token that is in the first batch and in no other: what 8 bits lose of v must not become a leap. */
    @ParameterizedTest
    @EnumSource(names = {"INT8", "INT8_DYNAMIC"})
    void whereGradientsEndEightBitsMoveNoFurtherThanFp32(StateFormat format) {
        double lr = 0.4;
        AdamW group = AdamW.defaults().learningRate(lr).betas(0.8, 0.95).weightDecay(0);
        double[] full = movement(group);
        double[] small = movement(group.state(format));
        for (int i = 0; i < full.length; i++) {
            assertTrue(
                    small[i] <= 1.5 * full[i] + lr,
                    "element " + i + " moved by " + small[i] + ", with FP32 state by " + full[i]);
        }
        assertTrue(Arrays.stream(full).max().orElseThrow() > 2 * lr, "FP32 state hardly moves either");
    }

    /** The way of each weight in a step with gradients of nine decades and 50 without. */
    private double[] movement(AdamW group) {
        int count = 40 * 64;
        double[] way = new double[count];
        try (Tensor weights = device.allocate(Purpose.WEIGHTS, "wte", ElementType.F32, Shape.of(40, 64));
                Tensor gradient = device.allocate(Purpose.GRADIENTS, "wte", ElementType.F32, Shape.of(40, 64));
                Optimizer optimizer = builder(device).group(group).build()) {
            optimizer.add(Parameter.of(ParameterKind.EMBEDDING, weights, gradient));
            float[] dense = new float[count];
            for (int i = 0; i < count; i++) {
                dense[i] = (float) ((i % 2 == 0 ? 1 : -1) * Math.pow(10, -9.0 * (i % 61) / 60));
            }
            gradient.copyFrom(dense);
            float[] before = weights.toFloatArray();
            for (int step = 0; step < 51; step++) {
                optimizer.step();
                gradient.copyFrom(new float[count]);
                float[] after = weights.toFloatArray();
                for (int i = 0; i < count; i++) {
                    way[i] += Math.abs(after[i] - before[i]);
                }
                before = after;
            }
        }
        return way;
    }

    @Test
    void theCapOfTheWorkspaceChangesMemoryAndNoBits() {
        try (Model a = Model.small(device, ElementType.F32).with("mlp2", ParameterKind.MATRIX, Shape.of(80, 200));
                Model b = Model.small(device, ElementType.F32).with("mlp2", ParameterKind.MATRIX, Shape.of(80, 200));
                Optimizer free = int8().build();
                Optimizer capped = int8().workspaceCap(0).build()) {
            free.addAll(a.parameters());
            capped.addAll(b.parameters());
            a.newGradients();
            b.newGradients();
            assertEquals(0, free.workspaceBytes());
            free.step();
            // The kernels' arguments (scalars of AdamW, a cache line or two per parameter) are counted there as well.
            assertAllocated(free.workspaceBytes(), 16, device.ledger().bytes(Purpose.OPTIMIZER_WORKSPACE));
            capped.step();
            assertTrue(
                    capped.workspaceBytes() < free.workspaceBytes(),
                    capped.workspaceBytes() + " against " + free.workspaceBytes());
            assertSameForOtherBatches(a.snapshot(), b.snapshot());
        }
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void aStepWithoutFiniteGradientsChangesNothing(float bad) {
        for (NonFinitePolicy policy : NonFinitePolicy.values()) {
            try (Model model = Model.small(device, ElementType.F32);
                    Optimizer optimizer = int8().nonFinite(policy).build()) {
                optimizer.addAll(model.parameters());
                model.newGradients();
                optimizer.step();
                Map<String, float[]> weights = model.snapshot();
                List<byte[]> state = stateOf(optimizer);
                model.newGradients();
                model.gradient("wte").setFloat(19199, bad);
                if (policy == NonFinitePolicy.SKIP) {
                    StepReport report = optimizer.step();
                    assertFalse(report.taken());
                    assertEquals("wte", report.nonFiniteParameter());
                    assertEquals(1, report.step());
                } else {
                    NonFiniteGradientException e = assertThrows(NonFiniteGradientException.class, optimizer::step);
                    assertEquals("wte", e.parameter());
                }
                assertSame(weights, model.snapshot());
                assertSameBytes(state, stateOf(optimizer));
                assertEquals(1, optimizer.state("attn").step());
                assertEquals(1, optimizer.steps());
                model.newGradients();
                assertTrue(optimizer.step().taken(), "the next step is taken");
            }
        }
    }

    @Test
    void aGradientScaleThatOverflowsCountsAsNonFinite() {
        try (Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer = fp32().build()) {
            optimizer.addAll(model.parameters());
            model.newGradients();
            assertFalse(optimizer.step(1e38).taken());
        }
    }

    @Test
    void clippingScalesAllGradientsByTheNormOfAllTogether() {
        try (Model a = Model.small(device, ElementType.F32).newGradients();
                Model b = Model.small(device, ElementType.F32).newGradients();
                Optimizer clipped = fp32().clipGlobalNorm(0.25).build();
                Optimizer scaled = fp32().build()) {
            clipped.addAll(a.parameters());
            scaled.addAll(b.parameters());
            double sum = 0;
            for (Parameter parameter : a.parameters()) {
                for (float value : a.gradient(parameter.name()).toFloatArray()) {
                    sum += (double) value * value;
                }
            }
            StepReport report = clipped.step(2);
            assertEquals(2 * Math.sqrt(sum), report.gradientNorm(), 1e-9 * Math.sqrt(sum));
            assertEquals(0.25 / (report.gradientNorm() + 1e-6), report.clipFactor(), 1e-15);
            scaled.step(2 * report.clipFactor());
            assertSame(a.snapshot(), b.snapshot());
            assertEquals(1, scaled.step().clipFactor());
        }
    }

    /** Accumulating n micro-batches and stepping with 1/n is a step with their mean; powers of two keep it exact. */
    @Test
    void accumulatedGradientsStepLikeTheirMean() {
        try (Model a = Model.small(device, ElementType.F32).newGradients();
                Model b = Model.small(device, ElementType.F32).newGradients();
                Optimizer mean = int8().build();
                Optimizer accumulated = int8().build()) {
            mean.addAll(a.parameters());
            accumulated.addAll(b.parameters());
            for (Parameter parameter : b.parameters()) {
                float[] gradient = b.gradient(parameter.name()).toFloatArray();
                for (int i = 0; i < gradient.length; i++) {
                    gradient[i] *= 4;
                }
                b.gradient(parameter.name()).copyFrom(gradient);
            }
            mean.step();
            accumulated.step(0.25);
            assertSame(a.snapshot(), b.snapshot());
        }
    }

    @Test
    void parametersComeGoAndFreezeBetweenSteps() {
        try (Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer = int8().build()) {
            optimizer.addAll(model.parameters());
            model.newGradients();
            optimizer.step();

            model.parameter("attn").frozen(true);
            // A frozen parameter's gradient is not looked at.
            model.gradient("attn").setFloat(0, Float.NaN);
            Map<String, float[]> before = model.snapshot();
            assertTrue(optimizer.step().taken());
            assertArrayEquals(before.get("attn"), model.weight("attn").toFloatArray());
            assertFalse(Arrays.equals(before.get("mlp"), model.weight("mlp").toFloatArray()));
            assertEquals(1, optimizer.state("attn").step());
            assertEquals(2, optimizer.state("mlp").step());
            assertTrue(optimizer.describe().contains("frozen"), optimizer.describe());

            model.parameter("attn").frozen(false);
            model.newGradients();
            before = model.snapshot();
            optimizer.step();
            assertFalse(Arrays.equals(before.get("attn"), model.weight("attn").toFloatArray()));

            long bytes = optimizer.stateBytes();
            optimizer.remove("wte");
            assertEquals(bytes - 2 * (300 * 64 + 4 * 150), optimizer.stateBytes());
            assertAllocated(optimizer.stateBytes(), 12, device.ledger().bytes(Purpose.OPTIMIZER_STATE));
            before = model.snapshot();
            optimizer.step();
            assertArrayEquals(before.get("wte"), model.weight("wte").toFloatArray());

            optimizer.add(model.parameter("wte"));
            optimizer.step();
            assertFalse(Arrays.equals(before.get("wte"), model.weight("wte").toFloatArray()));
            assertEquals(1, optimizer.state("wte").step());
        }
    }

    @Test
    void learningRatesChangeWithoutRebuildingAnything() {
        try (Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer =
                        int8().schedule(Schedule.linear(4, 0, 100, 0)).build()) {
            optimizer.addAll(model.parameters());
            model.newGradients();
            optimizer.step();
            long allocations = device.ledger().allocations();
            optimizer.group("muon").learningRate(0).momentum(0.85);
            optimizer.group("adamw").learningRate(1e-3);
            model.parameter("wte").learningRateMultiplier(0);
            Map<String, float[]> before = model.snapshot();
            optimizer.step();
            assertArrayEquals(before.get("attn"), model.weight("attn").toFloatArray());
            assertArrayEquals(before.get("wte"), model.weight("wte").toFloatArray());
            assertFalse(Arrays.equals(before.get("head"), model.weight("head").toFloatArray()));
            assertEquals(allocations, device.ledger().allocations());
            assertEquals(0.85, optimizer.group("muon").momentum());
        }
    }

    /** On a GPU every plan is a graph that is captured anew. */
    @Test
    void whatOnlyChangesDataMakesNoNewPlan() {
        try (Model model = Model.small(device, ElementType.F32);
                Model other = Model.small(device, ElementType.F32).newGradients();
                Optimizer optimizer = int8().schedule(Schedule.linear(4, 0, 100, 0))
                        .clipGlobalNorm(1)
                        .build()) {
            optimizer.addAll(model.parameters());
            model.newGradients();
            optimizer.step();
            optimizer.group("muon").learningRate(0.01).momentum(0.85).weightDecay(0);
            optimizer.group("adamw").learningRate(1e-3);
            model.parameter("wte").learningRateMultiplier(0.5);
            optimizer.step(0.25);
            for (Parameter parameter : model.parameters()) {
                parameter.gradient(other.gradient(parameter.name()).segment());
            }
            Map<String, float[]> before = model.snapshot();
            assertTrue(optimizer.step().taken());
            assertFalse(Arrays.equals(before.get("attn"), model.weight("attn").toFloatArray()));
            other.gradient("mlp").setFloat(7, Float.NaN);
            assertFalse(optimizer.step().taken());
            other.newGradients();
            optimizer.restore("gain", optimizer.state("gain"));
            assertTrue(optimizer.step().taken());
            assertEquals(1, optimizer.plansMade());
            model.parameter("attn").frozen(true);
            optimizer.step();
            assertEquals(2, optimizer.plansMade());
        }
    }

    @Test
    void afterTheFirstStepNothingIsAllocatedOutsideTheHeap() {
        try (Model model = Model.small(device, ElementType.BF16);
                Model other = Model.small(device, ElementType.BF16).newGradients();
                Optimizer optimizer = int8().clipGlobalNorm(1)
                        .weightRounding(WeightRounding.MASTER_WEIGHTS)
                        .build()) {
            optimizer.addAll(model.parameters());
            model.newGradients();
            optimizer.step();
            long allocations = device.ledger().allocations();
            long total = device.ledger().total();
            for (int step = 0; step < 4; step++) {
                for (Parameter parameter : model.parameters()) {
                    Model from = step % 2 == 0 ? other : model;
                    parameter.gradient(from.gradient(parameter.name()).segment());
                }
                optimizer.step(0.5);
            }
            assertEquals(allocations, device.ledger().allocations());
            assertEquals(total, device.ledger().total());
        }
    }

    /** Whether it is a view or a copy. */
    @Test
    void aStateThatIsReadHoldsWhatTheStepLeft() {
        try (Model model = Model.small(device, ElementType.F32).newGradients();
                Optimizer optimizer = int8().build()) {
            optimizer.addAll(model.parameters());
            optimizer.step();
            byte[] before = stateOf(optimizer).getFirst();
            ParameterState state = optimizer.state("attn");
            assertArrayEquals(before, state.tensor("momentum_buffer").codes().toArray(ValueLayout.JAVA_BYTE));
            assertEquals(1, state.step());
            int codes = 0;
            for (byte code : before) {
                codes += code == 0 ? 0 : 1;
            }
            assertTrue(codes > before.length / 2, codes + " codes are not 0");
        }
    }

    /** Where gradients lie counts, and not where they lay when the first step was taken. */
    @Test
    void aStepReadsTheGradientsThatAreBoundThen() {
        try (Model a = Model.small(device, ElementType.F32);
                Model b = Model.small(device, ElementType.F32);
                Model gradients = Model.small(device, ElementType.F32);
                Optimizer moved = int8().build();
                Optimizer stayed = int8().build()) {
            moved.addAll(a.parameters());
            stayed.addAll(b.parameters());
            for (int step = 0; step < 3; step++) {
                for (Parameter parameter : a.parameters()) {
                    Tensor other = (step == 1 ? gradients : a).gradient(parameter.name());
                    parameter.gradient(other.segment());
                    float[] values = new float[Math.toIntExact(other.elements())];
                    Arrays.fill(values, step + 1);
                    values[step] = -3;
                    other.copyFrom(values);
                    b.gradient(parameter.name()).copyFrom(values);
                }
                moved.step();
                stayed.step();
            }
            assertSame(b.snapshot(), a.snapshot());
        }
    }

    /** Matrices of one shape whose gradients, weights and formats differ are not worked on together, and come out the same. */
    @Test
    void mixedTypesAreEachTreatedAsTheirOwn() {
        try (Model wide = new Model(device, ElementType.F32)
                        .with("a", ParameterKind.MATRIX, Shape.of(24, 40))
                        .with("b", ParameterKind.MATRIX, Shape.of(24, 40))
                        .with("x", ParameterKind.VECTOR, Shape.of(50));
                Model narrow = new Model(device, ElementType.BF16)
                        .with("c", ParameterKind.MATRIX, Shape.of(24, 40))
                        .with("y", ParameterKind.VECTOR, Shape.of(50));
                Optimizer together = mixed();
                Optimizer apartWide = mixed();
                Optimizer apartNarrow = mixed();
                Model wideAgain = new Model(device, ElementType.F32)
                        .with("a", ParameterKind.MATRIX, Shape.of(24, 40))
                        .with("b", ParameterKind.MATRIX, Shape.of(24, 40))
                        .with("x", ParameterKind.VECTOR, Shape.of(50));
                Model narrowAgain = new Model(device, ElementType.BF16)
                        .with("c", ParameterKind.MATRIX, Shape.of(24, 40))
                        .with("y", ParameterKind.VECTOR, Shape.of(50))) {
            together.add(wide.parameter("a"));
            together.add(narrow.parameter("c"));
            together.add(narrow.parameter("y"));
            together.add(wide.parameter("b").inGroup("plain"));
            together.add(wide.parameter("x"));
            apartWide.add(wideAgain.parameter("a"));
            apartWide.add(wideAgain.parameter("b").inGroup("plain"));
            apartWide.add(wideAgain.parameter("x"));
            apartNarrow.addAll(narrowAgain.parameters());
            for (int step = 0; step < 3; step++) {
                List.of(wide, wideAgain, narrow, narrowAgain).forEach(Model::newGradients);
                List.of(together, apartWide, apartNarrow).forEach(Optimizer::step);
            }
            assertSame(wideAgain.snapshot(), wide.snapshot());
            assertSame(narrowAgain.snapshot(), narrow.snapshot());
        }
    }

    private Optimizer mixed() {
        return builder(device)
                .group(Muon.defaults().state(StateFormat.INT8))
                .group(Muon.defaults().name("plain").nesterov(false))
                .group(AdamW.defaults())
                .build();
    }

    @Test
    void aZeroGradientDecaysTheWeightsOnly() {
        try (Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer = fp32().build()) {
            optimizer.addAll(model.parameters());
            Map<String, float[]> before = model.snapshot();
            optimizer.step();
            float[] attn = model.weight("attn").toFloatArray();
            float[] head = model.weight("head").toFloatArray();
            for (int i = 0; i < 100; i++) {
                assertEquals(before.get("attn")[i] * (float) (1 - 0.02 * 0.1), attn[i]);
                assertEquals(before.get("head")[i] * (1 - 3e-3 * 0.01), head[i], 1e-7 * Math.abs(head[i]));
            }
        }
    }

    @Test
    void bf16GradientsCountLikeTheirFp32Values() {
        try (Model a = Model.small(device, ElementType.F32).newGradients();
                Model b = Model.small(device, ElementType.F32).newGradients();
                Optimizer fromF32 = int8().build();
                Optimizer fromBf16 = int8().build()) {
            List<Tensor> narrow = new ArrayList<>();
            for (Parameter parameter : b.parameters()) {
                Tensor wide = a.gradient(parameter.name());
                Tensor bf16 = device.allocate(Purpose.GRADIENTS, parameter.name(), ElementType.BF16, parameter.shape());
                narrow.add(bf16);
                bf16.copyFrom(wide.toFloatArray());
                wide.copyFrom(bf16.toFloatArray());
                parameter.gradient(bf16.segment(), ElementType.BF16);
            }
            fromF32.addAll(a.parameters());
            fromBf16.addAll(b.parameters());
            fromF32.step();
            fromBf16.step();
            assertSame(a.snapshot(), b.snapshot());
            narrow.forEach(Tensor::close);
        }
    }

    @Test
    void stochasticRoundingOfBf16WeightsIsReproducibleAndFollowsTheSeed() {
        Map<String, float[]> first = bf16Run(1, WeightRounding.STOCHASTIC);
        assertSame(first, bf16Run(1, WeightRounding.STOCHASTIC));
        Map<String, float[]> other = bf16Run(2, WeightRounding.STOCHASTIC);
        for (String name : List.of("attn", "wte")) {
            assertFalse(Arrays.equals(first.get(name), other.get(name)), name);
        }
    }

    private Map<String, float[]> bf16Run(long seed, WeightRounding rounding) {
        try (Model model = Model.small(device, ElementType.BF16);
                Optimizer optimizer = int8().seed(seed).weightRounding(rounding).build()) {
            optimizer.addAll(model.parameters());
            for (int step = 0; step < 5; step++) {
                model.newGradients();
                optimizer.step();
            }
            return model.snapshot();
        }
    }

    /** Decay of 1/2048 of a bf16 step per step: to nearest nothing ever moves, stochastically the mean does. */
    @Test
    void stochasticRoundingKeepsUpdatesThatAreSmallerThanABf16Step() {
        int count = 1 << 14;
        try (Tensor weights = device.allocate(Purpose.WEIGHTS, "w", ElementType.BF16, Shape.of(count));
                Tensor gradient = device.allocate(Purpose.GRADIENTS, "w", ElementType.BF16, Shape.of(count))) {
            double decayPerStep = 1.0 / 1024;
            for (WeightRounding rounding : List.of(WeightRounding.NEAREST, WeightRounding.STOCHASTIC)) {
                float[] ones = new float[count];
                Arrays.fill(ones, 1.5f);
                weights.copyFrom(ones);
                try (Optimizer optimizer = builder(device)
                        .group(AdamW.defaults().learningRate(1).weightDecay(decayPerStep))
                        .weightRounding(rounding)
                        .build()) {
                    optimizer.add(Parameter.of(ParameterKind.VECTOR, weights, gradient));
                    for (int step = 0; step < 16; step++) {
                        optimizer.step();
                    }
                }
                double mean = 0;
                for (float value : weights.toFloatArray()) {
                    mean += value / count;
                }
                double expected = rounding == WeightRounding.NEAREST ? 1.5 : 1.5 * Math.pow(1 - decayPerStep, 16);
                // A bf16 step at 1.5 is 1/128; the mean of 16384 roundings of 16 steps is within 5 sigma of this.
                assertEquals(expected, mean, 5 * (1.0 / 128) / 2 * 4 / Math.sqrt(count), rounding.toString());
            }
        }
    }

    @Test
    void masterWeightsFollowTheFp32RunAndTheBf16WeightsAreTheirRounding() {
        try (Model wide = Model.small(device, ElementType.F32);
                Model narrow = Model.small(device, ElementType.BF16);
                Optimizer full = fp32().build();
                Optimizer master =
                        fp32().weightRounding(WeightRounding.MASTER_WEIGHTS).build()) {
            for (Parameter parameter : wide.parameters()) {
                wide.weight(parameter.name())
                        .copyFrom(narrow.weight(parameter.name()).toFloatArray());
            }
            full.addAll(wide.parameters());
            master.addAll(narrow.parameters());
            assertEquals(4 * (96 * 96 + 80 * 200 + 2 * 300 * 64 + 77), master.masterWeightBytes());
            assertAllocated(master.masterWeightBytes(), 5, device.ledger().bytes(Purpose.MASTER_WEIGHTS));
            for (int step = 0; step < 3; step++) {
                narrow.newGradients();
                for (Parameter parameter : wide.parameters()) {
                    wide.gradient(parameter.name())
                            .copyFrom(narrow.gradient(parameter.name()).toFloatArray());
                }
                full.step();
                master.step();
            }
            for (Parameter parameter : wide.parameters()) {
                float[] exact = wide.weight(parameter.name()).toFloatArray();
                assertArrayEquals(exact, values(master.state(parameter.name()).tensor("master_weights")));
                float[] rounded = narrow.weight(parameter.name()).toFloatArray();
                for (int i = 0; i < exact.length; i++) {
                    assertEquals(Bf16.toFloat(Bf16.fromFloat(exact[i])), rounded[i]);
                }
            }
        }
    }

    @Test
    void restoredStateContinuesBitForBit() {
        try (Model a = Model.small(device, ElementType.F32);
                Model b = Model.small(device, ElementType.F32);
                Optimizer original = int8().build();
                Optimizer resumed = int8().build()) {
            original.addAll(a.parameters());
            resumed.addAll(b.parameters());
            a.newGradients();
            b.newGradients();
            original.step();
            for (Parameter parameter : a.parameters()) {
                b.weight(parameter.name()).copyFrom(a.weight(parameter.name()).toFloatArray());
                resumed.restore(parameter.name(), original.state(parameter.name()));
            }
            resumed.steps(original.steps());
            a.newGradients();
            b.newGradients();
            original.step();
            resumed.step();
            assertSame(a.snapshot(), b.snapshot());
            assertEquals(2, resumed.state("gain").step());
            assertEquals(2, resumed.steps());
        }
    }

    @Test
    void aStateOfAnotherFormatIsRefusedAndNothingIsCopied() {
        try (Model model = Model.small(device, ElementType.F32).newGradients();
                Optimizer full = fp32().build();
                Optimizer small = int8().build()) {
            full.addAll(model.parameters());
            small.addAll(model.parameters());
            full.step();
            List<byte[]> before = stateOf(small);
            assertSentence(
                    "state 'momentum_buffer' of parameter 'attn' is 9216 elements of INT8_LINEAR in blocks of 128 here"
                            + " and 9216 elements of F32 where it comes from",
                    () -> small.restore("attn", full.state("attn")));
            assertSentence("no tensor 'exp_avg'", () -> small.restore("gain", full.state("attn")));
            assertSameBytes(before, stateOf(small));
        }
    }

    @Test
    void routingGoesByKindOrByNameAndIsShown() {
        try (Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer = int8().group(
                                AdamW.defaults().name("slow").learningRate(1e-4).state(StateFormat.FP32))
                        .schedule(Schedule.linear(2, 0, 10, 0))
                        .build()) {
            optimizer.add(model.parameter("attn"));
            optimizer.add(model.parameter("mlp").inGroup("slow"));
            optimizer.add(model.parameter("wte").learningRateMultiplier(0.5));
            String table = optimizer.describe();
            List<String> lines =
                    table.lines().map(line -> line.replaceAll("  +", " | ")).toList();
            assertEquals("parameter | shape | group | optimizer | state | learning rate | bytes", lines.get(0));
            // Which polynomials Muon takes by default is the device's choice.
            assertTrue(
                    lines.get(1)
                            .matches("attn \\| 96×96 \\| muon \\| muon \\((four-steps|keller)\\) \\| int8 linear/128"
                                    + " \\| 0\\.01000 \\| 9,504"),
                    lines.get(1));
            assertEquals("mlp | 80×200 | slow | adamw | fp32 | 5.000e-05 | 128,000", lines.get(2));
            assertEquals("wte | 300×64 | adamw | adamw | int8 dynamic/128 | 0.0007500 | 39,600", lines.get(3));
            assertEquals("total | 177,104", lines.get(4));
        }
    }

    @Test
    void whatCannotBeRoutedIsRefused() {
        try (Model model = Model.small(device, ElementType.F32);
                Optimizer adamOnly = builder(device).group(AdamW.defaults()).build();
                Optimizer muonOnly = builder(device).group(Muon.defaults()).build()) {
            assertSentence(
                    "parameter 'attn' is a MATRIX, for Muon, and there is no such group",
                    () -> adamOnly.add(model.parameter("attn")));
            assertSentence(
                    "parameter 'wte' is a EMBEDDING, for AdamW, and there is no such group",
                    () -> muonOnly.add(model.parameter("wte")));
            assertSentence(
                    "parameter 'gain' has the shape 77 and Muon updates matrices",
                    () -> muonOnly.add(model.parameter("gain").inGroup("muon")));
            assertSentence(
                    "no parameter group 'heads'; there are [adamw]",
                    () -> adamOnly.add(model.parameter("gain").inGroup("heads")));
            adamOnly.add(model.parameter("attn").inGroup("adamw"));
            assertSentence(
                    "a parameter 'attn' already",
                    () -> adamOnly.add(model.parameter("attn").inGroup("adamw")));
            assertSentence("no parameter 'nobody'", () -> adamOnly.remove("nobody"));
        }
    }

    @Test
    void settingsOutOfRangeGetASentence() {
        assertSentence(
                "learning rate of group 'muon' is -1.0", () -> Muon.defaults().learningRate(-1));
        assertSentence(
                "learning rate of group 'adamw' is NaN", () -> AdamW.defaults().learningRate(Double.NaN));
        assertSentence(
                "momentum of group 'muon' is 1.0; it must be at least 0 and below 1",
                () -> Muon.defaults().momentum(1));
        assertSentence("beta2 of group 'adamw' is 1.5", () -> AdamW.defaults().betas(0.9, 1.5));
        assertSentence("epsilon of group 'adamw' is 0.0", () -> AdamW.defaults().epsilon(0));
        assertSentence(
                "weight decay of group 'muon' is -0.1", () -> Muon.defaults().weightDecay(-0.1));
        assertSentence("block size is 100", () -> Muon.defaults().block(100));
        assertSentence("norm to clip gradients to is 0.0", () -> builder(device).clipGlobalNorm(0));
        assertSentence("at least one parameter group", () -> builder(device).build());
        assertSentence(
                "two groups 'muon'",
                () -> builder(device).group(Muon.defaults()).group(Muon.defaults()));
        try (Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer = fp32().build()) {
            optimizer.addAll(model.parameters());
            assertSentence("gradient scale is 0.0", () -> optimizer.step(0));
            assertSentence("gradient scale is Infinity", () -> optimizer.step(Double.POSITIVE_INFINITY));
            assertSentence(
                    "learning rate of group 'muon' is -2.0",
                    () -> optimizer.group("muon").learningRate(-2));
            assertSentence(
                    "multiplier of parameter 'attn' is -1.0",
                    () -> model.parameter("attn").learningRateMultiplier(-1));
            IllegalStateException e = assertThrows(
                    IllegalStateException.class, () -> optimizer.group("adamw").momentum(0.9));
            assertTrue(e.getMessage().contains("group 'adamw' is a group of adamw"), e.getMessage());
        }
    }

    @Test
    void aStepAfterAnArenaWasClosedChangesNothing() {
        try (Model model = Model.small(device, ElementType.F32).newGradients();
                Optimizer optimizer = fp32().build()) {
            optimizer.addAll(model.parameters());
            try (Tensor gone = device.allocate(Purpose.GRADIENTS, "gone", ElementType.F32, Shape.of(77))) {
                model.parameter("gain").gradient(gone.segment());
            }
            Map<String, float[]> before = model.snapshot();
            IllegalStateException e = assertThrows(IllegalStateException.class, optimizer::step);
            assertTrue(
                    e.getMessage().contains("'gain (gradient)' was used after its arena was closed"), e.getMessage());
            assertSame(before, model.snapshot());
            assertEquals(0, optimizer.steps());
        }
    }

    @Test
    void useAfterCloseAndStepsWithoutParametersGetASentence() {
        Optimizer optimizer = fp32().build();
        assertTrue(assertThrows(IllegalStateException.class, optimizer::step)
                .getMessage()
                .contains("no parameters"));
        optimizer.close();
        optimizer.close();
        for (Executable call : List.<Executable>of(optimizer::step, optimizer::describe, optimizer::stateBytes)) {
            String message = assertThrows(IllegalStateException.class, call).getMessage();
            assertEquals("the optimizer was used after it was closed", message);
        }
    }

    /** Each is refused before anything is changed, and the next step is taken as if nothing had been. */
    @Test
    void aStepWhoseConstantsOverflowFp32ChangesNothing() {
        for (Consumer<Optimizer> mistake : List.<Consumer<Optimizer>>of(
                optimizer -> optimizer.group("muon").learningRate(1e30).weightDecay(1e30),
                optimizer -> optimizer.group("adamw").learningRate(1e30).weightDecay(1e30),
                optimizer -> optimizer.group("muon").learningRate(3e38),
                optimizer -> optimizer.group("adamw").learningRate(1e38).weightDecay(0))) {
            try (Model model = Model.small(device, ElementType.F32)
                            .with("tall", ParameterKind.MATRIX, Shape.of(90, 10))
                            .newGradients();
                    Optimizer optimizer = int8().build()) {
                optimizer.addAll(model.parameters());
                Map<String, float[]> weights = model.snapshot();
                List<byte[]> state = stateOf(optimizer);
                mistake.accept(optimizer);
                assertSentence(
                        "in this step, which FP32 cannot hold; lower the learning rate of group", optimizer::step);
                assertSame(weights, model.snapshot());
                assertSameBytes(state, stateOf(optimizer));
                assertEquals(0, optimizer.steps());
                optimizer.groups().forEach(group -> group.learningRate(1e-3).weightDecay(0.01));
                assertTrue(optimizer.step().taken());
            }
        }
    }

    @Test
    void settingsThatVanishInFp32AreRefused() {
        assertSentence(
                "epsilon of group 'adamw' is 1.0E-40; it must be from 1.1754944E-38",
                () -> AdamW.defaults().epsilon(1e-40));
        assertEquals(
                Float.MIN_NORMAL, AdamW.defaults().epsilon(Float.MIN_NORMAL).epsilon());
        try (Model model = Model.small(device, ElementType.F32).newGradients();
                Optimizer optimizer = fp32().clipGlobalNorm(1e-20).build()) {
            optimizer.addAll(model.parameters());
            assertSentence("gradient scale is 1.0E-46; it must be finite and positive", () -> optimizer.step(1e-46));
            model.newGradients(1e10);
            assertTrue(optimizer.step().taken());
            // Scaled by what is left of 1e-20 / 1e30, nothing would be left of the gradients.
            optimizer.remove("wte");
            optimizer.remove("head");
            optimizer.remove("gain");
            model.newGradients(1e30);
            Map<String, float[]> before = model.snapshot();
            assertSentence("gradient scale after clipping is ", optimizer::step);
            assertSame(before, model.snapshot());
        }
    }

    /** u is written in the precision of the iterates, and bfloat16 ends a little earlier than FP32. */
    @Test
    void aGradientBeyondThePrecisionOfTheIteratesCountsAsNonFinite() {
        boolean bf16 = NewtonSchulz.defaults().precisionOn(device) == ElementType.BF16;
        for (boolean fp32 : List.of(true, false)) {
            NewtonSchulz iteration =
                    fp32 ? NewtonSchulz.defaults().precision(ElementType.F32) : NewtonSchulz.defaults();
            try (Model model = new Model(device, ElementType.F32).with("w", ParameterKind.MATRIX, Shape.of(8, 8));
                    Optimizer optimizer = builder(device)
                            .group(Muon.defaults().newtonSchulz(iteration))
                            .build()) {
                optimizer.addAll(model.parameters());
                model.gradient("w").setFloat(3, 3.4e38f);
                StepReport report = optimizer.step();
                assertEquals(fp32 || !bf16, report.taken());
                assertEquals(fp32 || !bf16 ? null : "w", report.nonFiniteParameter());
                for (float value : model.weight("w").toFloatArray()) {
                    assertTrue(Float.isFinite(value));
                }
                model.gradient("w").setFloat(3, 0x1.FEp127f);
                assertTrue(optimizer.step().taken());
                for (float value : model.weight("w").toFloatArray()) {
                    assertTrue(Float.isFinite(value));
                }
            }
        }
    }

    @Test
    void aStateThatIsNotFiniteIsNotRestored() {
        try (Model model = Model.small(device, ElementType.F32).newGradients();
                Optimizer full = fp32().build();
                Optimizer small = int8().build();
                Optimizer source = int8().build();
                Optimizer wideSource = fp32().build()) {
            for (Optimizer optimizer : List.of(full, small, source, wideSource)) {
                optimizer.addAll(model.parameters());
                optimizer.step();
            }
            ParameterState attn = source.state("attn");
            ParameterState gain = source.state("gain");
            ParameterState wte = source.state("wte");
            ParameterState head = wideSource.state("head");
            ParameterState wideGain = wideSource.state("gain");
            poison(attn.tensor("momentum_buffer").scales(), 71, Float.NaN);
            poison(gain.tensor("exp_avg").scales(), 0, Float.POSITIVE_INFINITY);
            poison(wte.tensor("exp_avg_sq").scales(), 3, -1);
            poison(head.tensor("exp_avg").codes(), 19199, Float.NEGATIVE_INFINITY);
            poison(wideGain.tensor("exp_avg_sq").codes(), 76, -1e-9f);
            List<byte[]> fullBefore = stateOf(full);
            List<byte[]> smallBefore = stateOf(small);
            assertSentence(
                    "state 'momentum_buffer.scales' of parameter 'attn' holds NaN at 71",
                    () -> small.restore("attn", attn));
            assertSentence(
                    "'exp_avg.scales' of parameter 'gain' holds Infinity at 0; it must be finite and not negative",
                    () -> small.restore("gain", gain));
            assertSentence("'exp_avg_sq.scales' of parameter 'wte' holds -1.0 at 3", () -> small.restore("wte", wte));
            assertSentence(
                    "'exp_avg' of parameter 'head' holds -Infinity at 19199; it must be finite",
                    () -> full.restore("head", head));
            assertSentence(
                    "'exp_avg_sq' of parameter 'gain' holds -1.0E-9 at 76; it must be finite and not negative",
                    () -> full.restore("gain", wideGain));
            assertSameBytes(fullBefore, stateOf(full));
            assertSameBytes(smallBefore, stateOf(small));
        }
    }

    private static void poison(MemorySegment values, long index, float value) {
        values.setAtIndex(ValueLayout.JAVA_FLOAT, index, value);
    }

    @Test
    void aPrecisionThatTheDeviceLacksIsRefusedWhenAParameterIsAdded() {
        try (Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer = builder(device)
                        .group(Muon.defaults()
                                .newtonSchulz(NewtonSchulz.defaults().precision(ElementType.BF16)))
                        .build()) {
            if (device.isFast(ElementType.BF16)) {
                optimizer.add(model.parameter("attn"));
                assertTrue(optimizer.step().taken());
            } else {
                assertSentence(
                        "group 'muon' asks for Newton-Schulz in BF16, which " + device.describe()
                                + " cannot multiply natively; ask for F32, or leave the precision open",
                        () -> optimizer.add(model.parameter("attn")));
                assertEquals(List.of(), optimizer.parameters());
            }
        }
    }

    /** The ledger counts what was asked of the system: each array and what aligns it. */
    private void assertAllocated(long bytes, int arrays, long counted) {
        assertTrue(counted >= bytes && counted < bytes + alignment() * arrays, counted + " counted for " + bytes);
    }

    protected static List<byte[]> stateOf(Optimizer optimizer) {
        return optimizer.parameters().stream()
                .flatMap(parameter -> optimizer.state(parameter.name()).tensors().stream())
                .map(tensor -> tensor.codes().toArray(ValueLayout.JAVA_BYTE))
                .toList();
    }

    private static float[] values(StateTensor tensor) {
        return tensor.codes().toArray(ValueLayout.JAVA_FLOAT);
    }

    protected static void assertSameBytes(List<byte[]> expected, List<byte[]> actual) {
        assertEquals(expected.size(), actual.size());
        for (int i = 0; i < expected.size(); i++) {
            assertArrayEquals(expected.get(i), actual.get(i));
        }
    }

    protected static void assertSame(Map<String, float[]> expected, Map<String, float[]> actual) {
        expected.forEach((name, values) -> assertArrayEquals(values, actual.get(name), name));
    }

    protected static void assertSentence(String part, Executable call) {
        String message = assertThrows(IllegalArgumentException.class, call).getMessage();
        assertTrue(message.contains(part), message);
    }
}
