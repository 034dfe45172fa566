package dev.muonium.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.ChildJava;
import dev.muonium.checkpoint.CheckpointFolder.Found;
import java.io.File;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointFolderTest {
    @TempDir
    private Path temporary;

    private Path run;

    @BeforeEach
    void nameTheRun() {
        run = temporary.resolve("deep/run");
    }

    private void save(int keep, long... steps) {
        try (CheckpointFolder folder = CheckpointFolder.open(run, keep)) {
            for (long step : steps) {
                folder.save(step, Samples.values(step), Samples.parts(step));
            }
        }
    }

    private List<String> names() {
        return CheckpointFolder.list(run).stream()
                .map(path -> path.getFileName().toString())
                .toList();
    }

    private Found newest() {
        return CheckpointFolder.newest(run);
    }

    @Test
    void theNewestIsReadAsItWasSaved() {
        save(3, 5, 10);
        Found found = newest();
        try (Checkpoint checkpoint = found.checkpoint().orElseThrow()) {
            assertEquals(10, checkpoint.step());
            assertEquals(List.of(), found.skipped());
            Samples.assertContent(checkpoint);
            assertTrue(assertThrows(CheckpointException.class, () -> checkpoint.part("other"))
                    .getMessage()
                    .endsWith("has no part 'other'; it has [model, optimizer]"));
        }
    }

    @Test
    void onlyTheLastAreKept() {
        save(3, 1, 2, 3, 4, 5);
        assertEquals(List.of("step-00000005", "step-00000004", "step-00000003"), names());
        save(1, 6);
        assertEquals(List.of("step-00000006"), names());
    }

    @Test
    void damagedOnesOfLaterStepsAreTheFirstToGo() throws IOException {
        save(5, 3, 8, 9);
        for (String damaged : List.of("step-00000008", "step-00000009")) {
            Files.writeString(run.resolve(damaged).resolve("manifest.json"), "damaged");
        }
        save(3, 4);
        assertEquals(List.of("step-00000009", "step-00000004", "step-00000003"), names());
        save(3, 5);
        assertEquals(List.of("step-00000005", "step-00000004", "step-00000003"), names());
    }

    /** After a resume from an older one, newer ones may be left of the run before. */
    @Test
    void whatWasJustSavedIsNeverRemoved() {
        save(2, 8, 9);
        save(1, 3);
        assertEquals(List.of("step-00000003"), names());
    }

    @Test
    void aStepCanBeSavedAgain() {
        save(3, 4, 4);
        assertEquals(List.of("step-00000004"), names());
        try (Checkpoint checkpoint = newest().checkpoint().orElseThrow()) {
            Samples.assertContent(checkpoint);
        }
    }

    @Test
    void aDamagedOneIsSkippedWithItsReason() throws IOException {
        save(5, 1, 2, 3, 4, 5);
        Path five = run.resolve("step-00000005/model.safetensors");
        try (FileChannel channel = FileChannel.open(five, StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.wrap(new byte[] {1}), Files.size(five) - 100);
        }
        try (FileChannel channel =
                FileChannel.open(run.resolve("step-00000004/optimizer.safetensors"), StandardOpenOption.WRITE)) {
            channel.truncate(100);
        }
        Files.delete(run.resolve("step-00000003/model.safetensors"));
        Files.writeString(
                run.resolve("step-00000002/manifest.json"),
                Files.readString(run.resolve("step-00000002/manifest.json")).replace("\"step\":2", "\"step\":7"));
        Found found = newest();
        try (Checkpoint checkpoint = found.checkpoint().orElseThrow()) {
            assertEquals(1, checkpoint.step());
            Samples.assertContent(checkpoint);
        }
        List<String> reasons =
                found.skipped().stream().map(CheckpointFolder.Skipped::reason).toList();
        assertEquals(
                List.of(
                        "'" + five + "' does not have the checksum that the manifest says; it was changed",
                        "'" + run.resolve("step-00000004/optimizer.safetensors") + "' has 100 bytes; the manifest says "
                                + Files.size(run.resolve("step-00000005/optimizer.safetensors")),
                        "'" + run.resolve("step-00000003/model.safetensors") + "' is missing; the manifest lists it",
                        "'" + run.resolve("step-00000002/manifest.json")
                                + "' does not have the checksum that it says; it was changed"),
                reasons);
    }

    @Test
    void aForeignVersionIsNamed() throws IOException {
        save(1, 1);
        Path file = run.resolve("step-00000001/manifest.json");
        String body = "{\"version\":9,\"step\":1,\"values\":{},\"files\":{}}";
        String digest =
                java.util.HexFormat.of().formatHex(Manifest.sha256().digest(body.getBytes(StandardCharsets.UTF_8)));
        Files.writeString(file, "{\"sha256\":\"" + digest + "\",\"manifest\":" + body + "}\n");
        assertEquals(
                "'" + file + "' has the version 9; this library reads version 1",
                newest().skipped().getFirst().reason());
    }

    @Test
    void aRenamedOneIsNotTakenForAnotherStep() throws IOException {
        save(3, 1, 2);
        Files.move(run.resolve("step-00000001"), run.resolve("step-00000007"));
        Found found = newest();
        assertTrue(found.skipped().getFirst().reason().endsWith("is one of step 1; its folder was renamed"));
        try (Checkpoint checkpoint = found.checkpoint().orElseThrow()) {
            assertEquals(2, checkpoint.step());
        }
    }

    @Test
    void whatAKilledSaveLeftIsRemovedOrPutBack() throws IOException {
        save(3, 1, 2);
        Files.createDirectory(run.resolve(".unfinished-step-00000003"));
        Files.writeString(run.resolve(".unfinished-step-00000003/model.safetensors"), "half");
        Files.move(run.resolve("step-00000002"), run.resolve(".replaced-step-00000002"));
        Files.move(run.resolve("step-00000001"), run.resolve(".removed-step-00000001"));
        CheckpointFolder.open(run, 3).close();
        assertEquals(List.of("step-00000002"), names());
        try (Stream<Path> left = Files.list(run)) {
            assertEquals(2, left.count(), "the checkpoint and the lock");
        }
    }

    @Test
    void twoMayNotSaveIntoOneFolder() {
        CheckpointFolder first = CheckpointFolder.open(run, 3);
        String message = assertThrows(CheckpointException.class, () -> CheckpointFolder.open(run, 3))
                .getMessage();
        assertEquals(
                "checkpoints are being saved to '" + run
                        + "' by another process or trainer; give each a folder of its own",
                message);
        first.close();
        first.close();
        CheckpointFolder.open(run, 3).close();
        assertThrows(IllegalStateException.class, () -> first.save(1, Map.of(), Samples.parts(1)));
    }

    @Test
    void aProcessMayNotSaveWhereAnotherDoes() throws Exception {
        Process other = new ProcessBuilder(saving(1)).start();
        try {
            other.inputReader().readLine();
            for (int attempt = 0; attempt < 2; attempt++) {
                String message = assertThrows(CheckpointException.class, () -> CheckpointFolder.open(run, 3))
                        .getMessage();
                assertTrue(message.contains("by another process or trainer"), message);
            }
        } finally {
            other.destroyForcibly().waitFor();
        }
        CheckpointFolder.open(run, 3).close();
    }

    /** Two applications in one server, each with this library of its own: the lock is the process's, and neither may lose it. */
    @Test
    void anotherClassLoaderMayNotSaveThereAndTakesNoLockAway() throws Exception {
        URL[] classPath = Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
                .map(entry -> url(Path.of(entry)))
                .toArray(URL[]::new);
        try (CheckpointFolder first = CheckpointFolder.open(run, 3);
                URLClassLoader other = new URLClassLoader(classPath, ClassLoader.getPlatformClassLoader())) {
            Method open = other.loadClass(CheckpointFolder.class.getName()).getMethod("open", Path.class, int.class);
            for (int attempt = 0; attempt < 2; attempt++) {
                Throwable refused = assertThrows(InvocationTargetException.class, () -> open.invoke(null, run, 3))
                        .getCause();
                assertTrue(refused.getMessage().contains("by another process or trainer"), refused.toString());
            }
            Process child = new ProcessBuilder(saving(1)).start();
            try {
                assertNull(child.inputReader().readLine(), "a child saved where this process has the lock");
                assertTrue(child.waitFor() != 0);
            } finally {
                child.destroyForcibly().waitFor();
            }
            first.save(1, Map.of(), Samples.parts(1));
        }
    }

    /** The command line of a process that saves checkpoints from a step on. */
    private List<String> saving(long first) {
        return ChildJava.command(SavingChild.class, List.of(), run.toString(), String.valueOf(first));
    }

    private static URL url(Path path) {
        try {
            return path.toUri().toURL();
        } catch (MalformedURLException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void aFolderThatCannotBeUsedIsNamed() throws IOException {
        Path file = Files.writeString(temporary.resolve("file"), "x");
        assertEquals(
                "checkpoints cannot be saved to '" + file + "': it is not a folder",
                assertThrows(CheckpointException.class, () -> CheckpointFolder.open(file, 3))
                        .getMessage());
        assertTrue(assertThrows(CheckpointException.class, () -> CheckpointFolder.newest(temporary.resolve("none")))
                .getMessage()
                .endsWith("there is no such file"));
        assertThrows(IllegalArgumentException.class, () -> CheckpointFolder.open(run, 0));
        // The kernel's own folder of processes takes no files, not even from root.
        Path proc = Path.of("/proc/checkpoints");
        assumeTrue(Files.isDirectory(Path.of("/proc")), "there is no /proc");
        assertTrue(assertThrows(CheckpointException.class, () -> CheckpointFolder.open(proc, 3))
                .getMessage()
                .startsWith("checkpoints cannot be saved to '" + proc + "': "));
    }

    /** As on a full disk: the system takes no more than 8 KiB of a file, and a part has 12. */
    @Test
    void aSaveThatFailsLeavesTheOthers() throws Exception {
        save(3, 1);
        List<String> command = new ArrayList<>(List.of("bash", "-c", "ulimit -f 8; exec \"$@\"", "bash"));
        command.addAll(saving(2));
        Process child = new ProcessBuilder(command).start();
        String complaint = child.errorReader().lines().reduce("", (all, line) -> all + line + "\n");
        assertTrue(child.waitFor() != 0);
        assertTrue(complaint.contains("the checkpoint of step 2 was not saved to '" + run + "': "), complaint);
        assertTrue(complaint.contains("; earlier ones are as they were"), complaint);
        assertEquals(List.of("step-00000001"), names());
        try (Checkpoint checkpoint = newest().checkpoint().orElseThrow();
                Stream<Path> left = Files.list(run)) {
            Samples.assertContent(checkpoint);
            assertEquals(2, left.count(), "the checkpoint and the lock");
        }
    }

    @Test
    void partsAreNamedPlainly() {
        assertThrows(IllegalArgumentException.class, () -> new CheckpointPart("../x", Map.of(), List.of()));
        StoredTensor tensor = Samples.parts(1).getFirst().tensors().getFirst();
        assertThrows(IllegalArgumentException.class, () -> new CheckpointPart("x", Map.of(), List.of(tensor, tensor)));
    }
}
