package dev.muonium.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class HostMemoryTest {
    private static ByteBuffer direct(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
    }

    @Test
    void aFloatBufferIsItsMemoryFromPositionToLimit() {
        FloatBuffer buffer = direct(40).asFloatBuffer();
        buffer.position(3).limit(8);
        MemorySegment segment = HostMemory.ofBuffer(buffer);
        assertEquals(20, segment.byteSize());
        segment.setAtIndex(ValueLayout.JAVA_FLOAT, 4, 2.5f);
        assertEquals(2.5f, buffer.get(7));
        assertEquals(3, buffer.position());
        assertFalse(segment.isReadOnly());
        assertTrue(HostMemory.ofBuffer(buffer.asReadOnlyBuffer()).isReadOnly());
    }

    @Test
    void aByteBufferIsItsMemoryFromPositionToLimit() {
        ByteBuffer buffer = direct(40);
        buffer.position(8).limit(24);
        MemorySegment segment = HostMemory.ofBuffer(buffer);
        assertEquals(16, segment.byteSize());
        segment.setAtIndex(ValueLayout.JAVA_FLOAT, 0, -1.5f);
        assertEquals(-1.5f, buffer.getFloat(8));
    }

    @Test
    void aBufferOnTheHeapIsRefusedWithTheReason() {
        String reason = " wraps an array on the Java heap, which the garbage collector moves while native code works;"
                + " use ByteBuffer.allocateDirect, a mapped buffer or an Arena";
        assertSentence("the FloatBuffer" + reason, () -> HostMemory.ofBuffer(FloatBuffer.wrap(new float[8])));
        assertSentence("the ByteBuffer" + reason, () -> HostMemory.ofBuffer(ByteBuffer.allocate(32)));
    }

    /** A new buffer is in big-endian order, whatever the processor. */
    @Test
    void theOrderOfBytesHasToBeTheProcessors() {
        ByteOrder other =
                ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN;
        String sentence = " is in the byte order " + other + " and the processor in " + ByteOrder.nativeOrder()
                + "; set order(ByteOrder.nativeOrder()) before it is filled, and before asFloatBuffer()";
        ByteBuffer bytes = ByteBuffer.allocateDirect(32).order(other);
        assertSentence("the ByteBuffer" + sentence, () -> HostMemory.ofBuffer(bytes));
        FloatBuffer floats = bytes.asFloatBuffer();
        bytes.order(ByteOrder.nativeOrder());
        assertSentence("the FloatBuffer" + sentence, () -> HostMemory.ofBuffer(floats));
        assertEquals(32, HostMemory.ofBuffer(bytes.asFloatBuffer()).byteSize());
    }

    @Test
    void anAddressIsMemoryUntilItsArenaIsClosed() {
        try (Arena owner = Arena.ofShared()) {
            MemorySegment memory = owner.allocate(64, 64);
            MemorySegment segment;
            try (Arena arena = Arena.ofShared()) {
                segment = HostMemory.ofAddress(memory.address(), 64, arena);
                segment.setAtIndex(ValueLayout.JAVA_FLOAT, 15, 7);
                assertEquals(7, memory.getAtIndex(ValueLayout.JAVA_FLOAT, 15));
                assertEquals(memory.address(), segment.address());
            }
            assertFalse(segment.scope().isAlive());
            assertTrue(memory.scope().isAlive());
        }
    }

    @Test
    void anAddressThatIsNoneGetsASentence() {
        Arena arena = Arena.global();
        assertSentence(
                "the address of memory is 0, which a library returns where it has none; it must be that of memory in"
                        + " this process",
                () -> HostMemory.ofAddress(0, 64, arena));
        assertSentence("the address of memory is 0xffffffffffffffff", () -> HostMemory.ofAddress(-1, 64, arena));
        assertSentence(
                "the memory at address 0x1000 has 0 bytes; it must have at least 1",
                () -> HostMemory.ofAddress(4096, 0, arena));
        assertSentence("has -4 bytes", () -> HostMemory.ofAddress(4096, -4, arena));
        assertSentence("and end below 2^63", () -> HostMemory.ofAddress(4096, Long.MAX_VALUE, arena));
        Arena closed = Arena.ofShared();
        closed.close();
        assertThrows(IllegalStateException.class, () -> HostMemory.ofAddress(4096, 8, closed));
    }

    private static void assertSentence(String part, Executable call) {
        String message = assertThrows(IllegalArgumentException.class, call).getMessage();
        assertTrue(message.contains(part), message);
    }
}
