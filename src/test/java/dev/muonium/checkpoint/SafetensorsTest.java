package dev.muonium.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

final class SafetensorsTest {
    @TempDir
    private Path folder;

    private Path file;

    @BeforeEach
    void nameTheFile() {
        file = folder.resolve("model.safetensors");
    }

    @Test
    void readsWhatTheWriterWrote() {
        StoredTensor bytes =
                new StoredTensor("codes", StoredType.I8, List.of(3L), MemorySegment.ofArray(new byte[] {1, -2, 3}));
        StoredTensor floats = new StoredTensor(
                "w", StoredType.F32, List.of(2L, 1L), MemorySegment.ofArray(new float[] {0.5f, -1.5f}));
        StoredTensor doubles = new StoredTensor(
                "ünï \"quoted\"\n", StoredType.F64, List.of(), MemorySegment.ofArray(new double[] {Math.PI}));
        StoredTensor empty =
                new StoredTensor("none", StoredType.BF16, List.of(0L, 7L), MemorySegment.ofArray(new byte[0]));
        Map<String, String> metadata = Map.of("steps", "10", "source", "a \\ b\t\"c\"");

        SafetensorsWriter.write(file, metadata, List.of(bytes, floats, doubles, empty));

        try (Safetensors read = Safetensors.open(file)) {
            assertEquals(metadata, read.metadata());
            assertEquals(List.of("ünï \"quoted\"\n", "w", "none", "codes"), List.copyOf(read.names()));
            assertArrayEquals(new byte[] {1, -2, 3}, read.tensor("codes").toBytes());
            assertArrayEquals(new float[] {0.5f, -1.5f}, read.tensor("w").toFloats());
            assertArrayEquals(new double[] {0.5, -1.5}, read.tensor("w").toDoubles());
            assertEquals(List.of(2L, 1L), read.tensor("w").shape());
            assertArrayEquals(
                    new double[] {Math.PI}, read.tensor("ünï \"quoted\"\n").toDoubles());
            assertEquals(0, read.tensor("none").elements());
            for (String name : read.names()) {
                StoredTensor tensor = read.tensor(name);
                assertEquals(0, tensor.data().address() % tensor.type().byteSize(), name + " is aligned");
                assertTrue(tensor.data().isReadOnly(), name + " is read-only");
            }
        }
    }

    @Test
    void readsFilesOfTheFormatsOwnWriter() throws URISyntaxException {
        Path golden = Path.of(Objects.requireNonNull(getClass().getResource("/golden/muon_37x53_nesterov.safetensors"))
                .toURI());
        try (Safetensors read = Safetensors.open(golden)) {
            assertEquals("37", read.metadata().get("rows"));
            assertEquals(List.of(10L, 37L, 53L), read.tensor("gradients").shape());
            assertEquals(StoredType.F64, read.tensor("weight_10_f64").type());
            double[] f64 = read.tensor("weight_10_f64").toDoubles();
            double[] f32 = read.tensor("weight_10_f32").toDoubles();
            for (int i = 0; i < f64.length; i++) {
                assertEquals(f64[i], f32[i], 1e-5);
            }
        }
    }

    @Test
    void replacesAFileAndLeavesNoLitter() throws IOException {
        Files.writeString(file, "something else");

        SafetensorsWriter.write(file, Map.of(), List.of());

        try (Safetensors read = Safetensors.open(file);
                Stream<Path> files = Files.list(folder)) {
            assertTrue(read.names().isEmpty());
            assertEquals(List.of(file), files.toList());
        }
    }

    @Test
    void refusesTwoTensorsOfOneNameBeforeItTouchesTheFile() throws IOException {
        Files.writeString(file, "precious");
        StoredTensor tensor = new StoredTensor("w", StoredType.U8, List.of(1L), MemorySegment.ofArray(new byte[1]));

        var e = assertThrows(
                IllegalArgumentException.class, () -> SafetensorsWriter.write(file, Map.of(), List.of(tensor, tensor)));

        assertEquals("two tensors are called 'w'", e.getMessage());
        assertEquals("precious", Files.readString(file));
    }

    @Test
    void saysWhereItCannotWrite() {
        Path missing = folder.resolve("missing").resolve("model.safetensors");

        var e = assertThrows(SafetensorsException.class, () -> SafetensorsWriter.write(missing, Map.of(), List.of()));

        assertTrue(e.getMessage().startsWith("'" + missing + "' cannot be written: "), e.getMessage());
    }

    @Test
    void namesTheTensorsItHasWhenOneIsMissing() throws IOException {
        write("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2);
        try (Safetensors read = Safetensors.open(file)) {
            var e = assertThrows(SafetensorsException.class, () -> read.tensor("b"));
            assertEquals("'" + file + "' has no tensor 'b'; it has [a]", e.getMessage());
            assertTrue(read.find("b").isEmpty());
        }
    }

    @Test
    void refusesDataAfterClose() throws IOException {
        write("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2);
        Safetensors read = Safetensors.open(file);
        MemorySegment data = read.tensor("a").data();

        read.close();
        read.close();

        assertThrows(IllegalStateException.class, () -> data.get(ValueLayout.JAVA_BYTE, 0));
    }

    @Test
    void refusesAReadingOfTheWrongType() throws IOException {
        write("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2);
        try (Safetensors read = Safetensors.open(file)) {
            var e = assertThrows(
                    IllegalArgumentException.class, () -> read.tensor("a").toFloats());
            assertEquals("tensor 'a' has elements of type U8; F32 was expected", e.getMessage());
        }
    }

    @Test
    void saysThatAFileIsMissingOrAFolder() {
        assertEquals(
                "'" + file + "' cannot be read: there is no such file",
                assertThrows(SafetensorsException.class, () -> Safetensors.open(file))
                        .getMessage());
        assertEquals(
                "'" + folder + "' is not a regular file",
                assertThrows(SafetensorsException.class, () -> Safetensors.open(folder))
                        .getMessage());
    }

    static Stream<Arguments> violations() {
        String a = "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}";
        return Stream.of(
                Arguments.of("", 0, "has a header that does not begin with '{'"),
                Arguments.of(" {}", 0, "has a header that does not begin with '{'"),
                Arguments.of("{} x", 0, "has a header that is not valid JSON: it has U+0078 at character 3"),
                Arguments.of("{\"a\"", 0, "is not valid JSON: it ends at character 4, where ':' is expected"),
                Arguments.of("{\"a\":1}", 0, "describes tensor 'a' by something that is not a JSON object"),
                Arguments.of("{" + a + "," + a + "}", 2, "the key 'a' occurs twice"),
                Arguments.of("{\"__metadata__\":[]}", 0, "has a __metadata__ that is not a JSON object"),
                Arguments.of("{\"__metadata__\":{\"k\":1}}", 0, "has the value of 'k' in __metadata__ not as a string"),
                Arguments.of(
                        "{" + a.replace("U8", "F7") + "}",
                        2,
                        "tensor 'a' with the unknown dtype 'F7'; known are BOOL, U8"),
                Arguments.of("{" + a.replace("\"U8\"", "8") + "}", 2, "tensor 'a' without a 'dtype' that is a string"),
                Arguments.of("{" + a.replace("[2]", "2") + "}", 2, "tensor 'a' without a 'shape' that is an array"),
                Arguments.of("{" + a.replace("[2]", "[-2]") + "}", 2, "tensor 'a' with 'shape' holding -2"),
                Arguments.of("{" + a.replace("[2]", "[2.0]") + "}", 2, "tensor 'a' with 'shape' holding 2.0"),
                Arguments.of("{" + a.replace("[2]", "[\"2\"]") + "}", 2, "tensor 'a' with 'shape' holding something"),
                Arguments.of(
                        "{" + a.replace("[2]", "[3]") + "}",
                        2,
                        "tensor 'a' with 2 bytes of data; shape [3] of U8 needs 3"),
                Arguments.of(
                        "{" + a.replace("[2]", "[4294967296,4294967296]") + "}",
                        2,
                        "tensor 'a' with 2 bytes of data; shape [4294967296, 4294967296] of U8 needs more than"),
                Arguments.of(
                        "{" + a.replace("[0,2]", "[0]") + "}", 2, "tensor 'a' with 1 data_offsets; it must be two"),
                Arguments.of(
                        "{" + a.replace("[0,2]", "[4,2]") + "}",
                        4,
                        "tensor 'a' ending at 2, before its beginning at 4"),
                Arguments.of(
                        "{" + a.replace("[2],", "[2],\"x\":1,") + "}",
                        2,
                        "the unknown key 'x' in the description of tensor 'a'"),
                Arguments.of(
                        "{" + a.replace("[0,2]", "[1,3]") + "}",
                        3,
                        "a gap of 1 bytes between the start of the data and tensor 'a'"),
                Arguments.of(
                        "{" + a + ",\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
                        3,
                        "tensor 'b' overlapping tensor 'a': it begins at byte 1 of the data, 1 bytes too early"),
                Arguments.of(
                        "{" + a + ",\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}",
                        5,
                        "a gap of 1 bytes between tensor 'a' and tensor 'b'"),
                Arguments.of("{" + a + "}", 1, "is truncated: tensor 'a' ends at byte 2 of the data"),
                Arguments.of("{" + a + "}", 5, "has 3 bytes behind the last tensor that belong to none"),
                Arguments.of("{}", 1, "has 1 bytes behind the last tensor that belong to none"),
                Arguments.of("{\"a\":" + "[".repeat(5000), 0, "it is nested deeper than 32 levels"));
    }

    @ParameterizedTest
    @MethodSource("violations")
    void refusesWhatBreaksTheFormat(String header, int dataBytes, String sentence) throws IOException {
        write(header, dataBytes);

        String message = assertThrows(SafetensorsException.class, () -> Safetensors.open(file))
                .getMessage();

        assertTrue(message.startsWith("'" + file + "' "), message);
        assertTrue(message.contains(sentence), message);
    }

    @Test
    void refusesAHeaderLengthThatCannotBe() throws IOException {
        for (long length : new long[] {-1, Long.MIN_VALUE, SafetensorsHeader.MAX_BYTES + 1, 3}) {
            Files.write(
                    file,
                    ByteBuffer.allocate(10)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putLong(0, length)
                            .array());

            String message = assertThrows(SafetensorsException.class, () -> Safetensors.open(file))
                    .getMessage();

            assertTrue(message.contains("its header would have " + Long.toUnsignedString(length) + " bytes"), message);
        }
    }

    @Test
    void refusesBytesThatAreNotUtf8() throws IOException {
        byte[] header = "{\"?\":1}".getBytes(StandardCharsets.UTF_8);
        header[2] = (byte) 0xFF;
        write(header, 0);

        String message = assertThrows(SafetensorsException.class, () -> Safetensors.open(file))
                .getMessage();

        assertTrue(message.endsWith("has a header that is not UTF-8"), message);
    }

    @Test
    void refusesEveryTruncationOfAValidFile() throws IOException {
        byte[] whole = validFile();
        for (int length = 0; length < whole.length; length++) {
            Files.write(file, Arrays.copyOf(whole, length));
            assertThrows(SafetensorsException.class, () -> Safetensors.open(file));
        }
    }

    /** A mutated file either opens, and then everything in it can be read, or is refused with a sentence. */
    @Test
    void neverCrashesOnAMutatedFile() throws IOException {
        byte[] whole = validFile();
        int headerEnd =
                8 + (int) ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
        Random random = new Random(7);
        int refused = 0;
        for (int round = 0; round < 5_000; round++) {
            byte[] mutant = whole.clone();
            for (int flips = 1 + random.nextInt(3); flips > 0; flips--) {
                mutant[random.nextInt(headerEnd)] =
                        random.nextBoolean() ? (byte) random.nextInt() : (byte) (' ' + random.nextInt(95));
            }
            Files.write(file, mutant);
            try (Safetensors read = Safetensors.open(file)) {
                for (String name : read.names()) {
                    StoredTensor tensor = read.tensor(name);
                    tensor.data().toArray(ValueLayout.JAVA_BYTE);
                    assertTrue(tensor.elements() >= 0);
                }
            } catch (SafetensorsException e) {
                refused++;
                assertTrue(e.getMessage().startsWith("'" + file + "' "), e.getMessage());
            }
        }
        assertTrue(refused > 2_500, "only " + refused + " mutants were refused");
    }

    private byte[] validFile() throws IOException {
        SafetensorsWriter.write(
                file,
                Map.of("k", "v"),
                List.of(
                        new StoredTensor("w", StoredType.F32, List.of(3L, 2L), MemorySegment.ofArray(new float[6])),
                        new StoredTensor("m", StoredType.F32, List.of(3L), MemorySegment.ofArray(new float[3])),
                        new StoredTensor("q", StoredType.I8, List.of(5L), MemorySegment.ofArray(new byte[5]))));
        byte[] whole = Files.readAllBytes(file);
        assertFalse(whole.length == 0);
        return whole;
    }

    private void write(String header, int dataBytes) throws IOException {
        write(header.getBytes(StandardCharsets.UTF_8), dataBytes);
    }

    private void write(byte[] header, int dataBytes) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(8 + header.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        Files.write(file, bytes.putLong(header.length).put(header).array());
    }
}
