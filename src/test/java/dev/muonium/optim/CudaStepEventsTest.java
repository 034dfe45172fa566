package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;
import dev.muonium.events.Recorded;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Predicate;
import jdk.jfr.consumer.RecordedEvent;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the Flight Recorder is told of steps on a GPU, where a step is a graph. */
@CudaTest
class CudaStepEventsTest {
    @TempDir
    private Path folder;

    private Recorded steps(StatePlacement placement, int steps) {
        try (Device device = Device.cuda();
                Model model =
                        Model.small(device, ElementType.F32).with("attn2", ParameterKind.MATRIX, Shape.of(96, 96));
                Optimizer optimizer = Optimizer.builder(device)
                        .group(Muon.defaults().state(StateFormat.INT8))
                        .group(AdamW.defaults().state(StateFormat.INT8))
                        .statePlacement(placement)
                        .build()) {
            optimizer.addAll(model.parameters());
            model.newGradients();
            return Recorded.during(() -> {
                for (int step = 0; step < steps; step++) {
                    assertTrue(optimizer.step().taken());
                }
            });
        }
    }

    /** Also of a step that is replayed. */
    @Test
    void aBatchIsOneEvent() {
        Recorded recorded = steps(StatePlacement.device(), 3);

        assertEquals(3, recorded.of("Step").size());
        List<RecordedEvent> batches = recorded.of("Orthogonalization");
        assertEquals(6, batches.size());
        RecordedEvent pair = batches.stream()
                .filter(event -> event.getLong("matrices") == 2)
                .findFirst()
                .orElseThrow();
        assertEquals("attn", pair.getString("parameter"));
        assertEquals(96, pair.getLong("rows"));
        assertTrue(recorded.of("OffloadCopy").isEmpty());
    }

    /** No block of state lies in one of them as a whole. */
    @Test
    void matricesThatAreSmallerThanABlockAreABatchAsWell() {
        try (Device device = Device.cuda();
                Model model = new Model(device, ElementType.F32)
                        .with("qkv", ParameterKind.MATRIX, Shape.of(12, 8), parameter -> parameter.splitEvery(4));
                Optimizer optimizer = Optimizer.builder(device)
                        .group(Muon.defaults().state(StateFormat.INT8))
                        .build()) {
            optimizer.addAll(model.parameters());
            model.newGradients();

            List<RecordedEvent> batches = Recorded.during(optimizer::step).of("Orthogonalization");

            assertEquals(1, batches.size());
            assertEquals(3, batches.getFirst().getLong("matrices"));
            assertEquals("qkv", batches.getFirst().getString("parameter"));
            assertEquals(4, batches.getFirst().getLong("rows"));
        }
    }

    private static long bytes(List<RecordedEvent> events, String direction) {
        Predicate<RecordedEvent> wanted = event -> direction.equals(event.getString("direction"));
        return events.stream()
                .filter(wanted)
                .mapToLong(event -> event.getLong("bytes"))
                .sum();
    }

    @Test
    void copiesOfHostState() {
        List<RecordedEvent> copies = steps(StatePlacement.host(), 3).of("OffloadCopy");

        assertEquals(6, copies.size());
        assertTrue(bytes(copies, "host to device") > 0);
        assertEquals(bytes(copies, "host to device"), bytes(copies, "device to host"));
    }

    @Test
    void copiesOfStateInAFile() {
        List<RecordedEvent> copies = steps(StatePlacement.file(folder), 2).of("OffloadCopy");

        long read = bytes(copies, "mapping to staging");
        assertTrue(read > 0);
        assertEquals(read, bytes(copies, "staging to mapping"));
        assertTrue(bytes(copies, "host to device") >= read, "places are aligned");
    }
}
