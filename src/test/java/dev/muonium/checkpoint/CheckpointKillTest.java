package dev.muonium.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.ChildJava;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A process that saves is killed at random moments: whatever it had said to be saved is there, whole, and can be gone on from. */
class CheckpointKillTest {
    /** In all; {@code -Dmuonium.kills} asks for another number. */
    private static final int KILLS = Integer.getInteger("muonium.kills", 100);

    private static final int LANES = 2;

    @TempDir
    private Path folder;

    @Test
    void aKilledSaveLosesAtMostItself() throws Exception {
        try (ExecutorService lanes = Executors.newFixedThreadPool(LANES)) {
            List<Future<Integer>> unfinished = new ArrayList<>();
            for (int lane = 0; lane < LANES; lane++) {
                int number = lane;
                unfinished.add(lanes.submit(() -> killRepeatedly(folder.resolve("lane" + number), number)));
            }
            int interrupted = 0;
            for (Future<Integer> each : unfinished) {
                interrupted += each.get();
            }
            System.out.println("checkpoints: killed " + KILLS + " times, " + interrupted
                    + " times in the middle of a save; nothing that was saved was lost");
            assertTrue(interrupted > KILLS / 10, "too few kills hit a save: " + interrupted);
        }
    }

    private static int killRepeatedly(Path run, int seed) throws IOException, InterruptedException {
        Random random = new Random(seed);
        long next = 1;
        int interrupted = 0;
        for (int kill = 0; kill < KILLS / LANES; kill++) {
            long reported = killOnce(run, next, random);
            interrupted += hasUnfinished(run) ? 1 : 0;
            try (CheckpointFolder reopened = CheckpointFolder.open(run, 2)) {
                assertTrue(!hasUnfinished(run), "leftovers are removed");
                CheckpointFolder.Found found = CheckpointFolder.newest(reopened.path());
                assertEquals(List.of(), found.skipped());
                try (Checkpoint newest = found.checkpoint().orElseThrow()) {
                    assertTrue(newest.step() >= reported, newest.step() + " was found, and " + reported + " was saved");
                    Samples.assertContent(newest);
                    next = newest.step() + 1;
                }
            }
        }
        return interrupted;
    }

    /** Returns the last step that the child said to have saved. */
    private static long killOnce(Path run, long first, Random random) throws IOException, InterruptedException {
        Process child = new ProcessBuilder(
                        ChildJava.command(SavingChild.class, List.of("-Xmx64m"), run.toString(), String.valueOf(first)))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try (BufferedReader lines = child.inputReader(StandardCharsets.UTF_8)) {
            String line = lines.readLine();
            assertTrue(line != null, "the child ended by itself");
            long delay = random.nextLong(20_000_000);
            long begin = System.nanoTime();
            while (System.nanoTime() - begin < delay) {
                Thread.onSpinWait();
            }
            child.toHandle().destroyForcibly(); // what it had said can still be read
            long last = first;
            for (; line != null; line = lines.readLine()) {
                // The last line may be cut off: then it is a smaller number than was saved.
                last = Math.max(last, Long.parseLong(line));
            }
            child.waitFor();
            return last;
        }
    }

    private static boolean hasUnfinished(Path run) throws IOException {
        try (Stream<Path> entries = Files.list(run)) {
            return entries.anyMatch(
                    entry -> entry.getFileName().toString().matches("\\.(unfinished|replaced|removed)-.*"));
        }
    }
}
