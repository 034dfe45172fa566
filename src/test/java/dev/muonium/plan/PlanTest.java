package dev.muonium.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.StateFormat;
import dev.muonium.optim.StatePlacement;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PlanTest {
    private static final PlannedDevice CPU = new PlannedDevice("cpu", false, 2, ElementType.F32);

    @ParameterizedTest
    @CsvSource({
        "24GB, 24000000000",
        "24 GiB, 25769803776",
        "512mb, 512000000",
        "1.5KiB, 1536",
        "77, 77",
        "8 B, 8",
        "2TB, 2000000000000"
    })
    void readsAmounts(String text, long bytes) {
        assertEquals(bytes, ByteCount.parse(text));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "GB", "-1GB", "0", "0.0GB", "1e9", "24 GBit", "99999999999999TB", "1..2GB"})
    void refusesWhatIsNoAmount(String text) {
        assertEquals(
                "'" + text + "' is no amount of memory; say for example 24GB, 24GiB, 512MB or a number of bytes, more"
                        + " than 0",
                assertThrows(IllegalArgumentException.class, () -> ByteCount.parse(text))
                        .getMessage());
    }

    @Test
    void aCallersModelIsPlannedByTheFormulas() {
        List<PlannedParameter> parameters = List.of(
                new PlannedParameter("w", Shape.of(100, 300), Muon.defaults().state(StateFormat.INT8), 0),
                new PlannedParameter("low", Shape.of(300, 100), Muon.defaults().state(StateFormat.FP32), 10),
                new PlannedParameter("e", Shape.of(1000), AdamW.defaults().state(StateFormat.INT8), 0));
        Map<Purpose, Long> model =
                Map.of(Purpose.WEIGHTS, 4L * (30_000 + 30_000 + 1000), Purpose.ACTIVATIONS, 5_000_000L);
        MemoryPlan plan = MemoryPlanner.plan(CPU, parameters, model, false, StatePlacement.device(), true);
        long muon = 30_000 + 4 * 235 + 4 * 300 * 10;
        long adamW = 2 * (1000 + 4 * 8);
        assertEquals(Map.of("muon", muon, "adamw", adamW), plan.stateByOptimizer());
        assertPadded(4 * 300 * 10, plan.bytes(Purpose.GRADIENTS), 1);
        assertPadded(muon + adamW + 4 * 100 * 10, plan.bytes(Purpose.OPTIMIZER_STATE), 8);
        assertPadded(
                muon + adamW + 4 * 100 * 10 + model.getOrDefault(Purpose.WEIGHTS, 0L),
                plan.bytes(Purpose.CHECKPOINT),
                1);
        MemoryPlan offloaded =
                MemoryPlanner.plan(CPU, parameters, model, false, StatePlacement.file(Path.of("anywhere")), false);
        assertPadded(4 * 100 * 10, offloaded.bytes(Purpose.OPTIMIZER_STATE), 1);
        assertTrue(offloaded.bytes(Purpose.OFFLOADED_STATE) >= muon + adamW);
        assertTrue(offloaded.peak() < plan.peak() - muon);
    }

    /** The state of a split parameter is that of the whole; its workspace is that of its matrices, and of the blocks over their borders. */
    @Test
    void aSplitParameterIsPlannedByItsMatrices() {
        Muon muon = Muon.defaults().state(StateFormat.INT8);
        Shape whole = Shape.of(3 * 50, 50);
        List<Shape> parts = Collections.nCopies(3, Shape.of(50, 50));
        MemoryPlan split = planOf(new PlannedParameter("qkv", whole, muon, 0, parts));
        MemoryPlan one = planOf(new PlannedParameter("qkv", whole, muon, 0));
        MemoryPlan part = planOf(new PlannedParameter("q", Shape.of(50, 50), muon, 0));
        assertEquals(one.bytes(Purpose.OPTIMIZER_STATE), split.bytes(Purpose.OPTIMIZER_STATE));
        assertEquals(part.bytes(Purpose.OPTIMIZER_WORKSPACE) + 2 * 128 * 4, split.bytes(Purpose.OPTIMIZER_WORKSPACE));
        assertEquals(
                "parameter 'qkv' is to be projected to rank 8 and is not one matrix of its own shape, as GaLore needs"
                        + " it; leave its split out, or GaLore",
                assertThrows(IllegalArgumentException.class, () -> new PlannedParameter("qkv", whole, muon, 8, parts))
                        .getMessage());
    }

    private static MemoryPlan planOf(PlannedParameter parameter) {
        PlannedDevice oneWorker = new PlannedDevice("cpu", false, 1, ElementType.F32);
        return MemoryPlanner.plan(oneWorker, List.of(parameter), Map.of(), false, StatePlacement.device(), false);
    }

    private static void assertPadded(long exact, long bytes, int tensors) {
        assertTrue(bytes >= exact && bytes < exact + 64L * tensors, () -> bytes + " for " + exact);
    }

    private static MemoryPlan of(long bytes) {
        return new MemoryPlan(Map.of(Purpose.WEIGHTS, bytes), Map.of(), 0);
    }

    private static MemoryPlan saving(List<Technique> chosen) {
        long bytes = 1000;
        for (Technique technique : chosen) {
            bytes -= Long.parseLong(technique.changes().getOrDefault("saves", "0"));
        }
        return of(bytes);
    }

    @Test
    void theCheapestSetThatFitsIsTaken() {
        Technique little = new Technique("little", Map.of("saves", "100"), 1.0, false, "");
        Technique some = new Technique("some", Map.of("saves", "300"), 1.1, false, "");
        Technique much = new Technique("much", Map.of("saves", "500"), 1.3, false, "");
        List<Technique> offered = List.of(little, some, much);
        assertEquals(
                List.of(),
                Fit.cheapest(offered, PlanTest::saving, 1000).orElseThrow().techniques());
        assertEquals(
                List.of(little),
                Fit.cheapest(offered, PlanTest::saving, 950).orElseThrow().techniques());
        assertEquals(
                List.of(some),
                Fit.cheapest(offered, PlanTest::saving, 700).orElseThrow().techniques());
        assertEquals(
                List.of(little, some),
                Fit.cheapest(offered, PlanTest::saving, 600).orElseThrow().techniques());
        Fit all = Fit.cheapest(offered, PlanTest::saving, 100).orElseThrow();
        assertEquals(offered, all.techniques());
        assertEquals(1.43, all.cost(), 1e-9);
        assertEquals(Optional.empty(), Fit.cheapest(offered, PlanTest::saving, 99));
        assertEquals(offered, Fit.smallest(offered, PlanTest::saving).techniques());
    }

    /** Even where it would be the fastest. */
    @Test
    void anotherTrainingIsTakenOnlyWhereNothingElseFits() {
        Technique same = new Technique("same", Map.of("saves", "300"), 1.2, false, "");
        Technique other = new Technique("other", Map.of("saves", "400"), 0.9, true, "");
        List<Technique> offered = List.of(same, other);
        assertEquals(
                List.of(),
                Fit.cheapest(offered, PlanTest::saving, 1000).orElseThrow().techniques());
        assertEquals(
                List.of(same),
                Fit.cheapest(offered, PlanTest::saving, 700).orElseThrow().techniques());
        assertEquals(
                List.of(other),
                Fit.cheapest(offered, PlanTest::saving, 600).orElseThrow().techniques());
    }
}
