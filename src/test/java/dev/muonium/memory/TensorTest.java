package dev.muonium.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

final class TensorTest {
    private static final Shape SHAPE = Shape.of(2, 3);

    private final Ledger ledger = new Ledger();

    private Tensor owned(AtomicInteger freed) {
        Arena arena = Arena.ofShared();
        MemorySegment memory = Arena.global().allocate(24, 4).reinterpret(arena, _ -> freed.incrementAndGet());
        return Tensor.own("w", ElementType.F32, SHAPE, memory, arena, ledger, Purpose.WEIGHTS, 64);
    }

    @Test
    void ownedMemoryIsFreedOnceAndTakenOutOfTheLedger() {
        AtomicInteger freed = new AtomicInteger();
        Tensor tensor = owned(freed);
        assertEquals(64, ledger.total());
        assertEquals(24, tensor.byteSize());

        tensor.close();
        tensor.close();

        assertEquals(1, freed.get());
        assertEquals(0, ledger.total());
    }

    @Test
    void closingFromManyThreadsFreesOnce() throws InterruptedException {
        AtomicInteger freed = new AtomicInteger();
        for (int round = 0; round < 50; round++) {
            Tensor tensor = owned(freed);
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                threads.add(Thread.ofPlatform().start(tensor::close));
            }
            for (Thread thread : threads) {
                thread.join();
            }
        }
        assertEquals(50, freed.get());
        assertEquals(0, ledger.total());
    }

    @Test
    void everyUseAfterCloseIsASentence() {
        Tensor tensor = owned(new AtomicInteger());
        MemorySegment kept = tensor.segment();
        tensor.close();

        String sentence = "tensor 'w' was used after it was closed";
        assertEquals(
                sentence,
                assertThrows(IllegalStateException.class, tensor::segment).getMessage());
        assertEquals(
                sentence,
                assertThrows(IllegalStateException.class, () -> tensor.getFloat(0))
                        .getMessage());
        assertEquals(
                sentence,
                assertThrows(IllegalStateException.class, () -> tensor.setFloat(0, 1))
                        .getMessage());
        assertEquals(
                sentence,
                assertThrows(IllegalStateException.class, tensor::toFloatArray).getMessage());
        assertThrows(IllegalStateException.class, () -> kept.get(ValueLayout.JAVA_FLOAT, 0));
        assertEquals("w F32 2×3", tensor.toString());
    }

    /** qsort calls back in the middle of a native call that uses the memory. */
    @Test
    void memoryInUseIsNotFreedUnderTheUser() throws Throwable {
        AtomicInteger freed = new AtomicInteger();
        Tensor tensor = owned(freed);
        List<String> refusals = new ArrayList<>();
        Comparison closing = (a, b) -> {
            refusals.add(
                    assertThrows(IllegalStateException.class, tensor::close).getMessage());
            return 0;
        };
        Linker linker = Linker.nativeLinker();
        try (Arena arena = Arena.ofConfined()) {
            FunctionDescriptor compare =
                    FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS);
            MemorySegment callback = linker.upcallStub(
                    MethodHandles.lookup()
                            .bind(
                                    closing,
                                    "compare",
                                    MethodType.methodType(int.class, MemorySegment.class, MemorySegment.class)),
                    compare,
                    arena);
            MethodHandle qsort = linker.downcallHandle(
                    linker.defaultLookup().findOrThrow("qsort"),
                    FunctionDescriptor.ofVoid(
                            ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.ADDRESS));
            qsort.invokeExact(tensor.segment(), 2L, 4L, callback);
        }
        assertEquals(
                List.of("tensor 'w' cannot be closed while a native call uses it; wait for the call to end"), refusals);
        assertEquals(0, freed.get());
        assertEquals(64, ledger.total());

        tensor.close();

        assertEquals(1, freed.get());
        assertEquals(0, ledger.total());
    }

    /** What qsort calls. */
    interface Comparison {
        int compare(MemorySegment a, MemorySegment b);
    }

    @Test
    void borrowedMemoryIsCountedAndFreedByItsOwner() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(100, 4);
            Tensor tensor = Tensor.borrow("w", ElementType.F32, SHAPE, memory);
            tensor.setFloat(5, 2.5f);
            tensor.close();

            assertEquals(2.5f, memory.getAtIndex(ValueLayout.JAVA_FLOAT, 5));
            assertThrows(IllegalStateException.class, tensor::segment);
            assertEquals(0, ledger.allocations());
        }
    }

    @Test
    void borrowingChecksTheMemory() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(64, 8);
            refused("'w' lies on the Java heap", MemorySegment.ofArray(new float[6]));
            refused("which is not a multiple of the 4 bytes of F32", memory.asSlice(2));
            refused("'w' has 23 bytes; 6 elements of F32 need 24", memory.asSlice(0, 23));
            assertEquals(
                    24,
                    Tensor.borrow("w", ElementType.F32, SHAPE, memory).segment().byteSize());
        }
    }

    private static void refused(String part, MemorySegment memory) {
        IllegalArgumentException refusal =
                assertThrows(IllegalArgumentException.class, () -> Tensor.borrow("w", ElementType.F32, SHAPE, memory));
        assertTrue(refusal.getMessage().contains(part), refusal.getMessage());
    }

    @Test
    void memoryOfAClosedArenaIsRefused() {
        Arena arena = Arena.ofConfined();
        MemorySegment memory = arena.allocate(64, 8);
        arena.close();
        assertEquals(
                "'w' was used after its arena was closed",
                assertThrows(IllegalStateException.class, () -> Tensor.borrow("w", ElementType.F32, SHAPE, memory))
                        .getMessage());
    }

    @Test
    void writtenMemoryMustNotBeReadOnly() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(64, 8);
            Segments.requireWritable("w", memory, ElementType.F32, 16);
            assertEquals(
                    "'w' is read-only, but it is updated in place",
                    assertThrows(
                                    IllegalArgumentException.class,
                                    () -> Segments.requireWritable("w", memory.asReadOnly(), ElementType.F32, 16))
                            .getMessage());
            IllegalArgumentException huge = assertThrows(
                    IllegalArgumentException.class,
                    () -> Segments.requireOffHeap("w", memory, ElementType.F32, Long.MAX_VALUE));
            assertFalse(huge.getMessage().contains("need -"), huge.getMessage());
        }
    }

    @Test
    void convertsFloats() {
        try (Arena arena = Arena.ofConfined()) {
            Tensor tensor = Tensor.borrow("x", ElementType.BF16, Shape.of(3), arena.allocate(6, 2));
            tensor.copyFrom(new float[] {1, 1 + 1f / 256, 1 + 3f / 256}); // the last two lie halfway between neighbours

            assertArrayEquals(new float[] {1, 1, 1 + 4f / 256}, tensor.toFloatArray());
            assertEquals(
                    "tensor 'x' of shape 3 has 3 elements, fewer than the 4 values to copy",
                    assertThrows(IllegalArgumentException.class, () -> tensor.copyFrom(new float[4]))
                            .getMessage());
            Tensor codes = Tensor.borrow("q", ElementType.I8, Shape.of(3), arena.allocate(3));
            assertThrows(IllegalStateException.class, () -> codes.getFloat(0));
            assertThrows(IllegalStateException.class, () -> codes.setFloat(0, 1));
            assertThrows(IllegalStateException.class, () -> codes.copyFrom(new float[1]));
        }
    }
}
