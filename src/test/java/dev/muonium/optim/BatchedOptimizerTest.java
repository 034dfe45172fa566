package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import dev.muonium.ortho.NewtonSchulz;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The optimizer on a CPU in the way of a GPU, by launches over many arrays: as the contract says, and as by tasks. */
@Tag("tier")
class BatchedOptimizerTest extends CpuOptimizerContract {
    @Override
    protected Optimizer.Builder builder(Device on) {
        return Optimizer.builder(on).batched();
    }

    /** Several matrices of two shapes, one of them tall, and the arrays of {@link Model#small}. */
    private Model model() {
        return Model.small(device, ElementType.F32)
                .with("attn2", ParameterKind.MATRIX, Shape.of(96, 96))
                .with("attn3", ParameterKind.MATRIX, Shape.of(96, 96))
                .with("tall", ParameterKind.MATRIX, Shape.of(200, 80))
                .with("tall2", ParameterKind.MATRIX, Shape.of(200, 80));
    }

    private static Optimizer.Builder groups(Optimizer.Builder builder, StateFormat format) {
        return builder.group(Muon.defaults()
                        .newtonSchulz(NewtonSchulz.defaults().precision(ElementType.F32))
                        .state(format))
                .group(AdamW.defaults().learningRate(3e-3).state(format))
                .clipGlobalNorm(3);
    }

    @Test
    void nobodyLooksAtItsResultsSoThatGramNormsAreRefusedAndKellersStepsTheDefault() {
        try (Model model = model();
                Optimizer tasks =
                        Optimizer.builder(device).group(Muon.defaults()).build();
                Optimizer batches = builder(device).group(Muon.defaults()).build();
                Optimizer asked = builder(device)
                        .group(Muon.defaults().newtonSchulz(NewtonSchulz.fourSteps()))
                        .build()) {
            Parameter matrix = model.parameters().stream()
                    .filter(parameter -> parameter.kind() == ParameterKind.MATRIX)
                    .findFirst()
                    .orElseThrow();
            tasks.add(matrix);
            batches.add(matrix);
            assertTrue(tasks.describe().contains("muon (four-steps)"), tasks.describe());
            assertTrue(batches.describe().contains("muon (keller)"), batches.describe());
            String message = assertThrows(IllegalArgumentException.class, () -> asked.add(matrix))
                    .getMessage();
            assertTrue(
                    message.startsWith("group 'muon' asks for Newton-Schulz with the norm of the Gram matrix"),
                    message);
            assertTrue(asked.parameters().isEmpty());
        }
    }

    @ParameterizedTest
    @EnumSource
    void itComputesWhatTasksDo(StateFormat format) {
        try (Model a = model();
                Model b = model();
                Optimizer tasks = groups(Optimizer.builder(device), format).build();
                Optimizer batches = groups(builder(device), format).build()) {
            tasks.addAll(a.parameters());
            batches.addAll(b.parameters());
            Map<String, float[]> start = a.snapshot();
            for (int step = 0; step < 5; step++) {
                a.newGradients();
                b.newGradients();
                StepReport expected = tasks.step(0.5);
                StepReport actual = batches.step(0.5);
                assertEquals(expected.gradientNorm(), actual.gradientNorm(), 1e-12 * expected.gradientNorm());
                assertEquals(expected.clipFactor(), actual.clipFactor(), 1e-12);
                assertEquals(expected.step(), actual.step());
            }
            Map<String, float[]> other = b.snapshot();
            a.snapshot().forEach((name, weights) -> {
                double moved = distance(weights, start.get(name));
                assertTrue(moved > 0, name);
                // Products of the same polynomials, added up in another order.
                double error = distance(weights, other.get(name)) / moved;
                assertTrue(error < 2e-5, name + " is off by " + error + " of the distance moved");
            });
            // State never depends on the products: gradients times a scale whose last bit may differ.
            for (Parameter parameter : a.parameters()) {
                assertStateNear(tasks.state(parameter.name()), batches.state(parameter.name()), parameter.name());
            }
        }
    }

    private static void assertStateNear(ParameterState expected, ParameterState actual, String name) {
        for (StateTensor tensor : expected.tensors()) {
            StateTensor other = actual.tensor(tensor.name());
            if (tensor.scales() == null) {
                float[] a = tensor.codes().toArray(ValueLayout.JAVA_FLOAT);
                float[] b = other.codes().toArray(ValueLayout.JAVA_FLOAT);
                assertTrue(distance(a, b) <= 1e-6 * distance(a, new float[a.length]), name + " " + tensor.name());
            } else {
                byte[] a = tensor.codes().toArray(ValueLayout.JAVA_BYTE);
                byte[] b = other.codes().toArray(ValueLayout.JAVA_BYTE);
                int different = 0;
                for (int i = 0; i < a.length; i++) {
                    different += a[i] == b[i] ? 0 : 1;
                }
                assertTrue(different <= a.length / 1000, different + " codes of " + name + " " + tensor.name());
            }
        }
    }

    /** Without clipping nothing of the state depends on a sum, so that all codes are the same. */
    @ParameterizedTest
    @EnumSource(names = {"INT8", "INT8_DYNAMIC"})
    void withoutClippingCodesAndScalesAreThoseOfTasks(StateFormat format) {
        try (Model a = model();
                Model b = model();
                Optimizer tasks = groups(Optimizer.builder(device), format)
                        .clipGlobalNorm(1e30)
                        .build();
                Optimizer batches =
                        groups(builder(device), format).clipGlobalNorm(1e30).build()) {
            tasks.addAll(a.parameters());
            batches.addAll(b.parameters());
            for (int step = 0; step < 4; step++) {
                a.newGradients();
                b.newGradients();
                tasks.step();
                batches.step();
            }
            assertSameBytes(stateOf(tasks), stateOf(batches));
            assertArrayEquals(a.weight("wte").toFloatArray(), b.weight("wte").toFloatArray());
        }
    }

    /** The key of stochastic rounding is the same, and AdamW has nothing else to differ in. */
    @Test
    void bf16WeightsAreRoundedAsByTasks() {
        try (Model a = Model.small(device, ElementType.BF16);
                Model b = Model.small(device, ElementType.BF16);
                Optimizer tasks = groups(Optimizer.builder(device), StateFormat.INT8)
                        .clipGlobalNorm(1e30)
                        .seed(99)
                        .build();
                Optimizer batches = groups(builder(device), StateFormat.INT8)
                        .clipGlobalNorm(1e30)
                        .seed(99)
                        .build()) {
            tasks.addAll(a.parameters());
            batches.addAll(b.parameters());
            for (int step = 0; step < 3; step++) {
                a.newGradients();
                b.newGradients();
                tasks.step();
                batches.step();
            }
            for (String name : new String[] {"wte", "head", "gain"}) {
                assertArrayEquals(a.weight(name).toFloatArray(), b.weight(name).toFloatArray(), name);
            }
            int different = 0;
            float[] x = a.weight("attn").toFloatArray();
            float[] y = b.weight("attn").toFloatArray();
            for (int i = 0; i < x.length; i++) {
                different += x[i] == y[i] ? 0 : 1;
            }
            // Where O differs in its last bits, a sum may fall on the other side of its random threshold.
            assertTrue(different < x.length / 100, different + " of " + x.length);
        }
    }

    /** Another type of a gradient is another kernel: that is a new plan, and the state goes on. */
    @Test
    void anotherTypeOfGradientMakesANewPlan() {
        try (Model model = Model.small(device, ElementType.F32).newGradients();
                Model narrow = Model.small(device, ElementType.BF16).newGradients();
                Optimizer optimizer = int8().build()) {
            optimizer.addAll(model.parameters());
            optimizer.step();
            model.parameter("attn").gradient(narrow.gradient("attn").segment(), ElementType.BF16);
            assertTrue(optimizer.step().taken());
            assertEquals(2, optimizer.plansMade());
            assertEquals(2, optimizer.state("attn").step());
        }
    }

    private static double distance(float[] a, float[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
        }
        return Math.sqrt(sum);
    }
}
