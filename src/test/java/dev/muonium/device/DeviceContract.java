package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What every device promises about memory, batches of products and recordings. */
abstract class DeviceContract {
    private static final ElementType F32 = ElementType.F32;

    private Device device;
    private DeviceMemory memory;

    abstract Device open();

    @BeforeEach
    final void openDevice() {
        device = open();
        memory = device.memory();
    }

    @AfterEach
    final void closeDevice() {
        // Scratch of matrix products is the device's own until it is closed.
        long workspace = device.ledger().bytes(Purpose.WORKSPACE);
        assertEquals(workspace, device.ledger().total(), "a test left something open");
        device.close();
        assertEquals(0, device.ledger().total());
    }

    private Tensor tensor(String name, float... values) {
        Tensor tensor = device.allocate(Purpose.DATA, name, F32, Shape.of(values.length));
        tensor.copyFrom(values);
        return tensor;
    }

    @Test
    void newMemoryIsZeroWhateverWasThere() {
        for (int round = 0; round < 20; round++) {
            try (Tensor tensor = device.allocate(Purpose.DATA, "x", F32, Shape.of(1000))) {
                assertArrayEquals(new float[1000], tensor.toFloatArray());
                float[] ones = new float[1000];
                java.util.Arrays.fill(ones, 1);
                tensor.copyFrom(ones);
                assertArrayEquals(ones, tensor.toFloatArray());
            }
        }
    }

    @Test
    void everyByteIsInTheLedger() {
        long allocations = device.ledger().allocations();
        try (Tensor small = device.allocate(Purpose.GRADIENTS, "small", ElementType.U8, Shape.of(65));
                Tensor staging = memory.allocateStaging(Purpose.CHECKPOINT, "staging", F32, Shape.of(4))) {
            assertTrue(device.ledger().bytes(Purpose.GRADIENTS) >= 65);
            assertTrue(device.ledger().bytes(Purpose.CHECKPOINT) >= 16);
            assertEquals(
                    device.ledger().byPurpose().values().stream()
                            .mapToLong(Long::longValue)
                            .sum(),
                    device.ledger().total());
            assertEquals(allocations + 2, device.ledger().allocations());
            assertEquals(65, small.byteSize());
            assertEquals(0, staging.getFloat(3));
        }
        assertEquals(0, device.ledger().bytes(Purpose.GRADIENTS));
        assertEquals(0, device.ledger().bytes(Purpose.CHECKPOINT));
    }

    @Test
    void tensorsAreReadAndWrittenFromJava() {
        try (Tensor f = tensor("f", 1, 2, 3);
                Tensor b = device.allocate(Purpose.DATA, "b", ElementType.BF16, Shape.of(3))) {
            f.setFloat(1, 5);
            b.copyFrom(new float[] {1, 1 + 1f / 256, 1 + 3f / 256}); // the last two lie halfway between neighbours
            b.setFloat(0, -2);

            assertArrayEquals(new float[] {1, 5, 3}, f.toFloatArray());
            assertArrayEquals(new float[] {-2, 1, 1 + 1f / 64}, b.toFloatArray());
            assertEquals(3, f.getFloat(2));
            assertThrows(IndexOutOfBoundsException.class, () -> f.getFloat(3));
            assertThrows(IndexOutOfBoundsException.class, () -> f.setFloat(-1, 0));
            assertThrows(IllegalArgumentException.class, () -> f.copyFrom(new float[4]));
        }
    }

    @Test
    void copiesBetweenHostAndDevice() {
        try (Arena arena = Arena.ofConfined();
                Tensor x = tensor("x", 1, 2, 3, 4, 5);
                Tensor y = tensor("y", 6, 7, 8, 9, 10)) {
            MemorySegment host = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 20, 21, 22);

            memory.copyIn(host, 4, x.segment(), 8, 8);
            memory.copy(x.segment(), 4, y.segment(), 0, 12);
            memory.zero(x.segment(), 0, 4);
            memory.copyOut(y.segment(), 8, host, 0, 8);

            assertArrayEquals(new float[] {0, 2, 21, 22, 5}, x.toFloatArray());
            assertArrayEquals(new float[] {2, 21, 22, 9, 10}, y.toFloatArray());
            assertArrayEquals(new float[] {22, 9, 22}, host.toArray(ValueLayout.JAVA_FLOAT));
        }
    }

    @Test
    void stagesWithoutWaiting() {
        try (Tensor staging = memory.allocateStaging(Purpose.WORKSPACE, "staging", F32, Shape.of(4));
                Tensor x = tensor("x", 1, 2, 3, 4)) {
            staging.copyFrom(new float[] {9, 8, 7, 6});
            memory.stageIn(staging.segment(), x.segment(), 8);
            device.synchronize();
            assertArrayEquals(new float[] {9, 8, 3, 4}, x.toFloatArray());

            memory.stageOut(x.segment(), staging.segment(), 16);
            device.synchronize();
            assertArrayEquals(new float[] {9, 8, 3, 4}, staging.toFloatArray());
        }
    }

    @Test
    void slicesLieWhereTheyShould() {
        try (Tensor x = tensor("x", 1, 2, 3, 4, 5);
                Tensor y = tensor("y", 0, 0)) {
            MemorySegment part = memory.slice(x.segment(), 8, 12);

            assertEquals(x.segment().address() + 8, part.address());
            memory.requireReadable("part", part, F32, 3);
            memory.copy(part, 4, y.segment(), 0, 8);

            assertArrayEquals(new float[] {4, 5}, y.toFloatArray());
            assertThrows(IllegalArgumentException.class, () -> memory.requireReadable("part", part, F32, 4));
        }
    }

    @Test
    void refusesMemoryThatIsTooSmallMisalignedFreedOrOnTheHeap() {
        Tensor x = tensor("x", 1, 2, 3);
        MemorySegment segment = x.segment();
        memory.requireReadable("x", segment, F32, 3);
        memory.requireWritable("x", segment, F32, 3);

        assertNames("'x'", IllegalArgumentException.class, () -> memory.requireReadable("x", segment, F32, 65));
        assertNames(
                "'x'", IllegalArgumentException.class, () -> memory.requireWritable("x", segment, F32, Long.MAX_VALUE));
        assertNames(
                "'odd'",
                IllegalArgumentException.class,
                () -> memory.requireReadable("odd", memory.slice(segment, 2, 8), F32, 1));
        assertNames(
                "read-only",
                IllegalArgumentException.class,
                () -> memory.requireWritable("x", segment.asReadOnly(), F32, 3));
        assertNames(
                "heap",
                IllegalArgumentException.class,
                () -> memory.requireReadable("x", MemorySegment.ofArray(new float[3]), F32, 3));
        x.close();
        assertNames("'x'", IllegalStateException.class, () -> memory.requireReadable("x", segment, F32, 3));
    }

    private static void assertNames(String part, Class<? extends RuntimeException> type, Executable call) {
        String message = assertThrows(type, call).getMessage();
        assertTrue(message.contains(part), message);
    }

    @Test
    void aBatchIsSoManyProducts() {
        Random random = new Random(7);
        MatmulSpec spec = MatmulSpec.f32(false, true, 5, 6, 7).leading(9, 8, 6).accumulating();
        try (Tensor a = random("a", random, 200);
                Tensor b = random("b", random, 200);
                Tensor c = random("c", random, 200);
                Tensor expected = tensor("expected", c.toFloatArray())) {
            for (int i = 0; i < 3; i++) {
                device.matmul(spec).run(0, a.segment(), 2 + i * 50, b.segment(), 4, expected.segment(), 3 + i * 40);
            }
            BatchedMatmul batch = device.batchedMatmul(spec, 3, 50, 0, 40);

            batch.run(a.segment(), 2, b.segment(), 4, c.segment(), 3);

            assertEquals(3, batch.count());
            assertEquals(spec, batch.spec());
            assertArrayEquals(expected.toFloatArray(), c.toFloatArray(), 1e-6f);
            assertThrows(
                    IllegalArgumentException.class, () -> batch.run(a.segment(), 90, b.segment(), 4, c.segment(), 3));
            assertThrows(
                    IllegalArgumentException.class, () -> batch.run(a.segment(), 2, b.segment(), 4, c.segment(), 91));
            assertThrows(
                    IllegalArgumentException.class, () -> batch.run(a.segment(), -1, b.segment(), 4, c.segment(), 3));
        }
    }

    private Tensor random(String name, Random random, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return tensor(name, values);
    }

    @Test
    void refusesBatchesWhoseResultsMeet() {
        MatmulSpec spec = MatmulSpec.f32(false, false, 4, 4, 4);

        assertNames("cStride", IllegalArgumentException.class, () -> device.batchedMatmul(spec, 2, 16, 16, 15));
        assertNames("count", IllegalArgumentException.class, () -> device.batchedMatmul(spec, 0, 16, 16, 16));
        assertNames("aStride", IllegalArgumentException.class, () -> device.batchedMatmul(spec, 2, -1, 16, 16));
        assertNames(
                "bStride",
                IllegalArgumentException.class,
                () -> device.batchedMatmul(spec, 3, 16, Long.MAX_VALUE / 2 + 1, 16));
        // Results that lie side by side in the columns of one matrix do not meet.
        assertEquals(
                2, device.batchedMatmul(spec.leading(4, 4, 8), 2, 16, 16, 4).count());
    }

    @Test
    void aRecordingIsDoneWhenItIsReplayed() {
        try (Tensor staging = memory.allocateStaging(Purpose.WORKSPACE, "staging", F32, Shape.of(2));
                Tensor x = tensor("x", 1, 2);
                Tensor y = tensor("y", 3, 4);
                Tensor z = device.allocate(Purpose.DATA, "z", F32, Shape.of(1))) {
            Matmul product = device.matmul(MatmulSpec.f32(false, false, 1, 1, 2));
            Recording recording = device.record(() -> {
                memory.stageIn(staging.segment(), x.segment(), 8);
                device.kernels().scale(2, x.segment(), F32, 2, x.segment(), F32, 2, 2, 0, 1);
                product.run(0, x.segment(), 0, y.segment(), 0, z.segment(), 0);
            });
            assertArrayEquals(new float[] {1, 2}, x.toFloatArray());

            staging.copyFrom(new float[] {10, 20});
            recording.replay();
            assertArrayEquals(new float[] {20, 40}, x.toFloatArray());
            assertEquals(220, z.getFloat(0));
            staging.copyFrom(new float[] {1, 1});
            recording.replay();
            recording.replay();
            device.synchronize();
            assertEquals(14, z.getFloat(0));

            recording.close();
            recording.close();
            assertThrows(IllegalStateException.class, recording::replay);
        }
    }

    @Test
    void refusesEveryUseAfterClose() {
        Device closed = open();
        BatchedMatmul batch = closed.batchedMatmul(MatmulSpec.f32(false, false, 1, 1, 1), 2, 1, 1, 1);
        Recording recording = closed.record(() -> {});
        Tensor x = closed.allocate(Purpose.DATA, "x", F32, Shape.of(2));
        MemorySegment segment = x.segment();
        recording.close();
        x.close();
        closed.close();
        closed.close();

        assertThrows(IllegalStateException.class, closed::synchronize);
        assertThrows(IllegalStateException.class, () -> closed.record(() -> {}));
        assertThrows(IllegalStateException.class, () -> closed.allocate(Purpose.DATA, "y", F32, Shape.of(1)));
        assertThrows(
                IllegalStateException.class,
                () -> closed.memory().allocateStaging(Purpose.DATA, "y", F32, Shape.of(1)));
        assertThrows(IllegalStateException.class, () -> batch.run(segment, 0, segment, 0, segment, 0));
        assertThrows(
                IllegalStateException.class,
                () -> closed.batchedMatmul(MatmulSpec.f32(false, false, 1, 1, 1), 2, 1, 1, 1));
    }
}
