package dev.muonium.events;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;

/** What the Flight Recorder saw while something was done, read back from its file. */
public final class Recorded {
    private final List<RecordedEvent> events;

    private Recorded(List<RecordedEvent> events) {
        this.events = events;
    }

    public static Recorded during(Runnable work) {
        try (Recording recording = new Recording()) {
            for (String name :
                    List.of("Step", "Orthogonalization", "Allocation", "Free", "Checkpoint", "OffloadCopy")) {
                recording.enable("dev.muonium." + name).withThreshold(Duration.ZERO);
            }
            recording.start();
            work.run();
            recording.stop();
            Path file = Files.createTempFile("muonium", ".jfr");
            try {
                recording.dump(file);
                return new Recorded(RecordingFile.readAllEvents(file).stream()
                        .sorted(Comparator.comparing(RecordedEvent::getStartTime))
                        .toList());
            } finally {
                Files.delete(file);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The events of a kind, in the order of their beginnings. */
    public List<RecordedEvent> of(String kind) {
        return events.stream()
                .filter(event -> event.getEventType().getName().equals("dev.muonium." + kind))
                .toList();
    }
}
