package dev.muonium.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files that were changed anywhere are refused by the exception that says so, or, if they say the same as before, read as before. */
class CheckpointFuzzTest {
    private static final int FILES = 6000;

    @TempDir
    private Path temporary;

    /** What a mutation may do. */
    private static byte[] mutated(byte[] original, Random random) {
        byte[] bytes = original.clone();
        switch (random.nextInt(8)) {
            case 0 -> bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
            case 1 -> bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length));
            case 2 -> bytes = Arrays.copyOf(bytes, bytes.length + 1 + random.nextInt(64));
            case 3 -> {
                int begin = random.nextInt(bytes.length);
                Arrays.fill(
                        bytes, begin, Math.min(bytes.length, begin + 1 + random.nextInt(32)), (byte) random.nextInt());
            }
            case 4 -> ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(0, random.nextLong());
            case 5 ->
                ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(0, random.nextInt(2 * bytes.length));
            case 6 -> bytes = inText(bytes, random);
            default -> {
                // Nearer to the front, where the header is.
                for (int i = 0; i < 1 + random.nextInt(3); i++) {
                    bytes[random.nextInt(Math.min(bytes.length, 300))] =
                            (byte) " \"{}[]:,0129-eE\\u".charAt(random.nextInt(17));
                }
            }
        }
        return bytes;
    }

    private static final List<String> BEFORE =
            List.of("F32", "I8", "[30,100]", "[5000]", "[0,12000]", "step", "sha256", ",", "bytes");
    private static final List<String> AFTER = List.of(
            "F64",
            "I64",
            "[30,101]",
            "[-1]",
            "[0,99999999999999999999]",
            "[5000,[5000]]",
            "[1e3]",
            "[4,12000]",
            "w",
            "__metadata__",
            ",,",
            "");

    private static byte[] inText(byte[] bytes, Random random) {
        String text = new String(bytes, StandardCharsets.ISO_8859_1);
        String changed = text.replaceFirst(
                java.util.regex.Pattern.quote(BEFORE.get(random.nextInt(BEFORE.size()))),
                AFTER.get(random.nextInt(AFTER.size())));
        byte[] out = changed.getBytes(StandardCharsets.ISO_8859_1);
        if (random.nextBoolean() && out.length > Long.BYTES && text.length() > Long.BYTES && text.charAt(8) == '{') {
            long header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
            ByteBuffer.wrap(out).order(ByteOrder.LITTLE_ENDIAN).putLong(0, header + out.length - bytes.length);
        }
        return out;
    }

    /** Without a manifest a change of the data itself is no error; but what is there is consistent and can be read to its end. */
    @Test
    void changedFilesAreRefusedOrConsistent() throws IOException {
        Path original = temporary.resolve("original.safetensors");
        List<StoredTensor> tensors = List.of(
                Samples.parts(3).get(0).tensors().getFirst(),
                Samples.parts(3).get(1).tensors().getFirst());
        SafetensorsWriter.write(original, java.util.Map.of("producer", "test"), tensors);
        byte[] bytes = Files.readAllBytes(original);
        Path file = temporary.resolve("changed.safetensors");
        Random random = new Random(11);
        int refused = 0;
        for (int i = 0; i < FILES; i++) {
            Files.write(file, mutated(bytes, random));
            try (Safetensors opened = Safetensors.open(file)) {
                long size = 0;
                for (String name : opened.names()) {
                    StoredTensor tensor = opened.tensor(name);
                    assertEquals(
                            tensor.elements() * tensor.type().byteSize(),
                            tensor.data().byteSize());
                    size += tensor.data().byteSize();
                    tensor.data().mismatch(tensor.data());
                }
                assertTrue(size < Files.size(file));
            } catch (SafetensorsException e) {
                assertTrue(String.valueOf(e.getMessage()).contains(file.toString()), e.getMessage());
                refused++;
            }
        }
        assertTrue(refused > FILES / 2, "only " + refused + " refused");
    }

    @Test
    void aChangedCheckpointIsNeverLoaded() throws IOException {
        Path run = temporary.resolve("run");
        try (CheckpointFolder folder = CheckpointFolder.open(run, 1)) {
            folder.save(4, Samples.values(4), Samples.parts(4));
        }
        Path step = run.resolve("step-00000004");
        Random random = new Random(12);
        for (String name : List.of("manifest.json", "model.safetensors", "optimizer.safetensors")) {
            Path file = step.resolve(name);
            byte[] bytes = Files.readAllBytes(file);
            for (int i = 0; i < FILES / 3; i++) {
                byte[] changed = mutated(bytes, random);
                Files.write(file, changed);
                try (Checkpoint checkpoint = Checkpoint.open(step)) {
                    if (!Arrays.equals(bytes, changed)) {
                        fail(name + " was changed, mutation " + i + ", and loaded as step " + checkpoint.step());
                    }
                    Samples.assertContent(checkpoint);
                } catch (CheckpointException e) {
                    assertTrue(String.valueOf(e.getMessage()).contains(step.toString()), e.getMessage());
                }
            }
            Files.write(file, bytes);
        }
        try (Checkpoint checkpoint = Checkpoint.open(step)) {
            Samples.assertContent(checkpoint);
        }
    }
}
