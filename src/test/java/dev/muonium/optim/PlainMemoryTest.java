package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.HostMemory;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** Weights and gradients in whatever memory an application has: trained in place to the same bits, or refused in a sentence. */
class PlainMemoryTest {
    private static final int ROWS = 24;
    private static final int COLS = 40;
    private static final int COUNT = ROWS * COLS;
    private static final int BYTES = COUNT * Float.BYTES;

    @TempDir
    private Path folder;

    private Device device;
    private Arena arena;

    @BeforeEach
    void open() {
        device = Device.cpu(2);
        arena = Arena.ofShared();
    }

    @AfterEach
    void close() {
        device.close();
        arena.close();
    }

    private static float[] noise(long seed) {
        Random random = new Random(seed);
        float[] values = new float[COUNT];
        for (int i = 0; i < COUNT; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    private static void fill(MemorySegment segment, float[] values) {
        MemorySegment.copy(values, 0, segment, ValueLayout.JAVA_FLOAT, 0, values.length);
    }

    private Optimizer optimizer() {
        return Optimizer.builder(device)
                .group(Muon.defaults().state(StateFormat.INT8))
                .group(AdamW.defaults())
                .build();
    }

    /** The weights after three steps. */
    private float[] trained(MemorySegment weights, MemorySegment gradient) {
        fill(weights, noise(1));
        try (Optimizer optimizer = optimizer()) {
            optimizer.add(Parameter.matrix("w", weights, gradient, ROWS, COLS));
            for (int step = 0; step < 3; step++) {
                fill(gradient, noise(2 + step));
                optimizer.step();
            }
        }
        return weights.asSlice(0, BYTES).toArray(ValueLayout.JAVA_FLOAT);
    }

    private float[] expected() {
        return trained(arena.allocate(BYTES, 64), arena.allocate(BYTES, 64));
    }

    @Test
    void directBuffersAreTrainedInPlace() {
        ByteBuffer bytes = ByteBuffer.allocateDirect(BYTES + 12).order(ByteOrder.nativeOrder());
        bytes.position(8).limit(BYTES + 8);
        FloatBuffer floats = ByteBuffer.allocateDirect(BYTES + 12)
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer();
        floats.position(1).limit(COUNT + 1);
        float[] result = trained(HostMemory.ofBuffer(bytes), HostMemory.ofBuffer(floats));
        assertArrayEquals(expected(), result);
        assertEquals(result[COUNT - 1], bytes.getFloat(8 + BYTES - 4));
        assertEquals(0, bytes.getFloat(4), "what is before the position is not touched");
        floats.limit(COUNT + 3);
        assertEquals(0, floats.get(COUNT + 1), "nor what is behind the limit");
    }

    @Test
    void anAddressOfAnotherLibraryIsTrainedInPlace() {
        MemorySegment weights = arena.allocate(BYTES, 4);
        MemorySegment gradient = arena.allocate(BYTES, 4);
        assertArrayEquals(
                expected(),
                trained(
                        HostMemory.ofAddress(weights.address(), BYTES, arena),
                        HostMemory.ofAddress(gradient.address(), BYTES, arena)));
    }

    @Test
    void aMappedFileIsTrainedInPlace() throws IOException {
        Path file = folder.resolve("weights");
        float[] result;
        try (Arena mapping = Arena.ofShared();
                FileChannel channel = channel(file)) {
            MemorySegment weights = channel.map(MapMode.READ_WRITE, 16, BYTES, mapping);
            result = trained(weights, arena.allocate(BYTES, 4));
            weights.force();
        }
        assertArrayEquals(expected(), result);
        FloatBuffer stored = ByteBuffer.wrap(Files.readAllBytes(file))
                .order(ByteOrder.nativeOrder())
                .position(16)
                .asFloatBuffer();
        float[] inFile = new float[COUNT];
        stored.get(inFile);
        assertArrayEquals(result, inFile);
    }

    @Test
    void aMappedBufferIsTrainedInPlace() throws IOException {
        try (FileChannel channel = channel(folder.resolve("weights"))) {
            MappedByteBuffer buffer = channel.map(MapMode.READ_WRITE, 0, BYTES);
            buffer.order(ByteOrder.nativeOrder());
            assertArrayEquals(expected(), trained(HostMemory.ofBuffer(buffer), arena.allocate(BYTES, 4)));
        }
    }

    /** A gradient is only read. */
    @Test
    void aFileThatIsMappedForReadingHoldsGradientsAndNoWeights() throws IOException {
        Path file = folder.resolve("gradient");
        try (FileChannel channel = channel(file)) {
            fill(channel.map(MapMode.READ_WRITE, 0, BYTES, arena), noise(2));
            MemorySegment gradient = channel.map(MapMode.READ_ONLY, 0, BYTES, arena);
            MemorySegment weights = arena.allocate(BYTES, 4);
            assertSentence(
                    "'w (weights)' is read-only, but it is updated in place",
                    () -> Parameter.matrix("w", gradient, weights, ROWS, COLS));
            try (Optimizer optimizer = optimizer()) {
                optimizer.add(Parameter.matrix("w", weights, gradient, ROWS, COLS));
                assertTrue(optimizer.step().taken());
            }
            assertTrue(weights.getAtIndex(ValueLayout.JAVA_FLOAT, 0) != 0);
        }
    }

    @Test
    void memoryThatCannotBeTrainedGetsASentence() {
        MemorySegment good = arena.allocate(BYTES, 4);
        MemorySegment other = arena.allocate(BYTES, 4);
        assertSentence(
                "'w (weights)' lies on the Java heap, as a float[] does, where the garbage collector moves it while"
                        + " native code works; allocate it with an Arena, or use a direct or mapped buffer",
                () -> Parameter.matrix("w", MemorySegment.ofArray(new float[COUNT]), good, ROWS, COLS));
        assertSentence(
                "'w (gradient)' lies on the Java heap",
                () -> Parameter.matrix("w", good, MemorySegment.ofBuffer(FloatBuffer.allocate(COUNT)), ROWS, COLS));
        ByteBuffer small = ByteBuffer.allocateDirect(BYTES).order(ByteOrder.nativeOrder());
        small.position(4);
        assertSentence(
                "'w (weights)' has 3836 bytes; 960 elements of F32 need 3840",
                () -> Parameter.matrix("w", HostMemory.ofBuffer(small), good, ROWS, COLS));
        assertSentence(
                "'w (gradient)' has 3839 bytes",
                () -> Parameter.matrix("w", good, HostMemory.ofAddress(other.address(), BYTES - 1, arena), ROWS, COLS));
        assertSentence(
                "which is not a multiple of the 4 bytes of F32",
                () -> Parameter.matrix(
                        "w", HostMemory.ofAddress(good.address() + 2, BYTES - 4, arena), other, ROWS - 1, COLS));
        ByteBuffer odd = ByteBuffer.allocateDirect(BYTES + 4).order(ByteOrder.nativeOrder());
        odd.position(1);
        assertSentence(
                "which is not a multiple of the 4 bytes of F32",
                () -> Parameter.matrix("w", HostMemory.ofBuffer(odd), good, ROWS, COLS));
    }

    @Test
    void memoryThatIsUnmappedWhileItIsRegisteredEndsTheStepInASentence() throws IOException {
        MemorySegment gradient = arena.allocate(BYTES, 4);
        try (Optimizer optimizer = optimizer();
                FileChannel channel = channel(folder.resolve("weights"))) {
            try (Arena mapping = Arena.ofShared();
                    Arena borrowed = Arena.ofShared()) {
                MemorySegment weights = channel.map(MapMode.READ_WRITE, 0, BYTES, mapping);
                MemorySegment bias = HostMemory.ofAddress(gradient.address(), 4, borrowed);
                optimizer.add(Parameter.matrix("w", weights, gradient, ROWS, COLS));
                optimizer.add(Parameter.vector("b", arena.allocate(4, 4), bias, 1));
                assertTrue(optimizer.step().taken());
            }
            assertEquals(
                    "'w' was used after its arena was closed",
                    assertThrows(IllegalStateException.class, optimizer::step).getMessage());
            optimizer.remove("w");
            assertEquals(
                    "'b (gradient)' was used after its arena was closed",
                    assertThrows(IllegalStateException.class, optimizer::step).getMessage());
            assertEquals(1, optimizer.steps());
        }
    }

    private static FileChannel channel(Path file) throws IOException {
        return FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    private static void assertSentence(String part, Executable call) {
        String message = assertThrows(IllegalArgumentException.class, call).getMessage();
        assertTrue(message.contains(part), message);
    }
}
