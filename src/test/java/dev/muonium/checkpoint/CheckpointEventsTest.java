package dev.muonium.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.events.Recorded;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import jdk.jfr.consumer.RecordedEvent;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the Flight Recorder is told of checkpoints. */
class CheckpointEventsTest {
    @TempDir
    private Path folder;

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void savingOpeningAndRestoring(boolean inBackground) {
        Recorded recorded = Recorded.during(() -> {
            try (Device device = Device.cpu(1);
                    Tensor weights = device.allocate(Purpose.WEIGHTS, "w", ElementType.F32, Shape.of(30, 100))) {
                TrainingState state = new TrainingState(device).weights("w", weights);
                try (CheckpointSaver saver =
                        new CheckpointSaver(device, CheckpointFolder.open(folder, 2), inBackground)) {
                    saver.save(17, Map.of(), state);
                }
                try (Checkpoint checkpoint =
                        CheckpointFolder.newest(folder).checkpoint().orElseThrow()) {
                    state.restore(checkpoint);
                }
            }
        });

        List<RecordedEvent> events = recorded.of("Checkpoint");
        assertEquals(
                List.of("save", "open", "restore"),
                events.stream().map(event -> event.getString("operation")).toList());
        for (RecordedEvent event : events) {
            assertEquals(17, event.getLong("step"));
            assertEquals(30 * 100 * 4, event.getLong("bytes"));
            assertEquals(inBackground && event.getString("operation").equals("save"), event.getBoolean("background"));
            assertNull(event.getString("failure"));
            assertTrue(event.getDuration().toNanos() > 0);
        }
        assertEquals(
                inBackground ? "muonium-checkpoint" : Thread.currentThread().getName(),
                events.getFirst().getThread().getJavaName());
    }

    @Test
    void whatFailsSaysWhy() {
        Recorded recorded =
                Recorded.during(() -> assertThrows(CheckpointException.class, () -> Checkpoint.open(folder)));

        RecordedEvent event = recorded.of("Checkpoint").getFirst();
        assertEquals("open", event.getString("operation"));
        assertEquals(-1, event.getLong("step"));
        assertFalse(event.getBoolean("background"));
        assertTrue(event.getString("failure").contains("has no readable manifest.json"), event.getString("failure"));
    }
}
