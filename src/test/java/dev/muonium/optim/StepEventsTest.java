package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.NonFiniteGradientException;
import dev.muonium.device.Device;
import dev.muonium.events.Recorded;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.ortho.Way;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import jdk.jfr.consumer.RecordedEvent;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the Flight Recorder is told of steps on a CPU. */
class StepEventsTest {
    @TempDir
    private Path folder;

    private static Optimizer.Builder builder(Device device) {
        return Optimizer.builder(device)
                .group(Muon.defaults()
                        .name("hidden")
                        .newtonSchulz(NewtonSchulz.defaults()
                                .precision(ElementType.F32)
                                .way(Way.gram(3)))
                        .state(StateFormat.INT8))
                .group(AdamW.defaults().state(StateFormat.INT8))
                .clipGlobalNorm(1);
    }

    /** With one worker all matrices go to a lane, with two some are shared. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void aStepAndItsOrthogonalizations(int workers) {
        try (Device device = Device.cpu(workers);
                Model model =
                        Model.small(device, ElementType.F32).with("large", ParameterKind.MATRIX, Shape.of(300, 200));
                Optimizer optimizer = builder(device).build()) {
            optimizer.addAll(model.parameters());
            model.newGradients();
            optimizer.step(); // a recording finds the classes loaded
            List<StepReport> reports = new ArrayList<>();

            Recorded recorded = Recorded.during(() -> {
                reports.add(optimizer.step());
                model.gradient("gain").setFloat(3, Float.NaN);
                reports.add(optimizer.step());
            });

            List<RecordedEvent> steps = recorded.of("Step");
            assertEquals(2, steps.size());
            RecordedEvent taken = steps.getFirst();
            assertEquals(2, taken.getLong("step"));
            assertTrue(taken.getBoolean("taken"));
            assertNull(taken.getString("reason"));
            assertEquals(reports.getFirst().gradientNorm(), taken.getDouble("gradientNorm"));
            assertEquals(reports.getFirst().clipFactor(), taken.getDouble("clipFactor"));
            assertTrue(taken.getDouble("clipFactor") < 1);
            assertEquals(6, taken.getInt("parameters"));
            assertEquals(0, taken.getInt("fallbacks"));
            assertTrue(taken.getDuration().toNanos() > 0);
            RecordedEvent left = steps.getLast();
            assertEquals(2, left.getLong("step"));
            assertFalse(left.getBoolean("taken"));
            assertEquals("the gradient of parameter 'gain' is not finite", left.getString("reason"));

            List<RecordedEvent> iterations = recorded.of("Orthogonalization");
            assertEquals(3, iterations.size(), "of the step that was taken");
            for (RecordedEvent iteration : iterations) {
                Shape shape = model.parameter(iteration.getString("parameter")).shape();
                assertEquals("hidden", iteration.getString("group"));
                assertEquals(1, iteration.getLong("matrices"));
                assertEquals(shape.extent(0), iteration.getLong("rows"));
                assertEquals(shape.extent(1), iteration.getLong("cols"));
                assertEquals("gram/3", iteration.getString("way"));
                assertEquals("F32", iteration.getString("precision"));
                assertFalse(iteration.getBoolean("fallback"));
                assertTrue(iteration.getDuration().toNanos() > 0);
                assertTrue(iteration.getDuration().compareTo(taken.getDuration()) < 0);
            }
        }
    }

    @Test
    void aMatrixOfASplitParameterIsAnEventOfItsOwn() {
        try (Device device = Device.cpu(1);
                Model model = new Model(device, ElementType.F32)
                        .with("qkv", ParameterKind.MATRIX, Shape.of(12, 8), parameter -> parameter.splitEvery(4));
                Optimizer optimizer = builder(device).build()) {
            optimizer.addAll(model.parameters());
            model.newGradients();

            List<RecordedEvent> iterations = Recorded.during(optimizer::step).of("Orthogonalization");

            assertEquals(3, iterations.size());
            for (RecordedEvent iteration : iterations) {
                assertEquals("qkv", iteration.getString("parameter"));
                assertEquals(4, iteration.getLong("rows"));
                assertEquals(8, iteration.getLong("cols"));
            }
        }
    }

    @Test
    void aStepThatIsRefusedIsTold() {
        try (Device device = Device.cpu(1);
                Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer =
                        builder(device).nonFinite(NonFinitePolicy.THROW).build()) {
            optimizer.addAll(model.parameters());
            model.newGradients().gradient("wte").setFloat(0, Float.POSITIVE_INFINITY);

            Recorded recorded = Recorded.during(() -> assertThrows(NonFiniteGradientException.class, optimizer::step));

            assertEquals(
                    "the gradient of parameter 'wte' is not finite",
                    recorded.of("Step").getFirst().getString("reason"));
        }
    }

    @Test
    void allocationsAndFreesAddUp() {
        Recorded recorded = Recorded.during(() -> {
            try (Device device = Device.cpu(1);
                    Model model = Model.small(device, ElementType.F32);
                    Optimizer optimizer = builder(device).build()) {
                optimizer.addAll(model.parameters());
            }
        });

        List<RecordedEvent> made = recorded.of("Allocation");
        List<RecordedEvent> freed = recorded.of("Free");
        RecordedEvent momentum = made.stream()
                .filter(event -> "mlp.momentum_buffer".equals(event.getString("name")))
                .findFirst()
                .orElseThrow();
        assertEquals(Purpose.OPTIMIZER_STATE.name(), momentum.getString("purpose"));
        assertEquals(80 * 200, momentum.getLong("bytes"));
        long total = 0;
        for (RecordedEvent event : made) {
            total += event.getLong("bytes");
            assertEquals(total, event.getLong("total"), event.getString("name"));
        }
        assertEquals(made.size(), freed.size());
        assertEquals(
                total, freed.stream().mapToLong(event -> event.getLong("bytes")).sum());
        assertEquals(0, freed.getLast().getLong("total"));
    }

    @Test
    void stateInAFileIsSeenToBeWritten() {
        try (Device device = Device.cpu(1);
                Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer = builder(device)
                        .statePlacement(StatePlacement.file(folder))
                        .build()) {
            optimizer.addAll(model.parameters());
            model.newGradients();

            Recorded recorded = Recorded.during(() -> {
                optimizer.step();
                optimizer.flushState();
            });

            List<RecordedEvent> copies = recorded.of("OffloadCopy");
            long bytes =
                    copies.stream().mapToLong(event -> event.getLong("bytes")).sum();
            assertTrue(bytes > 0 && bytes <= optimizer.stateBytes(), bytes + " bytes");
            for (RecordedEvent copy : copies) {
                assertEquals("mapping to disk", copy.getString("direction"));
                assertTrue(copy.getDuration().toNanos() > 0);
            }
        }
    }
}
