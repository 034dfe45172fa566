package dev.muonium.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/**
 * Memory of the host that the caller has in another form than a {@link MemorySegment}, as the segment that {@code Parameter} and {@link Tensor#borrow} take. Nothing is copied, and
 * the memory stays the caller's.
 *
 * <table>
 * <caption>What an application has, and how it becomes a segment</caption>
 * <tr><td>memory of an {@link Arena}</td><td>is one</td></tr>
 * <tr><td>a direct {@link ByteBuffer} or {@link FloatBuffer}, a {@link java.nio.MappedByteBuffer}</td><td>{@link #ofBuffer(ByteBuffer)}, {@link #ofBuffer(FloatBuffer)}</td></tr>
 * <tr><td>a file</td><td>{@link java.nio.channels.FileChannel#map(java.nio.channels.FileChannel.MapMode, long, long, Arena)} gives one</td></tr>
 * <tr><td>an address, from JNI or another library</td><td>{@link #ofAddress(long, long, Arena)}</td></tr>
 * <tr><td>a {@code float[]} or another array, a buffer that wraps one</td><td>cannot be: the garbage collector moves arrays while native code works. Copy it into an arena
 * once, {@code arena.allocateFrom(ValueLayout.JAVA_FLOAT, array)}, and train there</td></tr>
 * </table>
 *
 * <p>Thread-safe.
 */
public final class HostMemory {
    private HostMemory() {}

    /**
     * The floats of a direct buffer from its position to its limit.
     *
     * @return a segment that keeps the buffer's memory, read-only if the buffer is
     * @throws IllegalArgumentException if the buffer is on the heap, or its byte order is not the processor's
     */
    public static MemorySegment ofBuffer(FloatBuffer buffer) {
        requireUsable("FloatBuffer", buffer, buffer.order());
        return MemorySegment.ofBuffer(buffer);
    }

    /**
     * The bytes of a direct or mapped buffer from its position to its limit.
     *
     * @return a segment that keeps the buffer's memory, read-only if the buffer is
     * @throws IllegalArgumentException if the buffer is on the heap, or its byte order is not the processor's: a new buffer's never is on a little-endian one, so that what was put
     *     into it as floats would be read in reverse
     */
    public static MemorySegment ofBuffer(ByteBuffer buffer) {
        requireUsable("ByteBuffer", buffer, buffer.order());
        return MemorySegment.ofBuffer(buffer);
    }

    private static void requireUsable(String kind, Buffer buffer, ByteOrder order) {
        if (!buffer.isDirect()) {
            throw new IllegalArgumentException("the " + kind + " wraps an array on the Java heap, which the garbage"
                    + " collector moves while native code works; use ByteBuffer.allocateDirect, a mapped buffer or an"
                    + " Arena");
        }
        if (order != ByteOrder.nativeOrder()) {
            throw new IllegalArgumentException("the " + kind + " is in the byte order " + order
                    + " and the processor in "
                    + ByteOrder.nativeOrder() + "; set order(ByteOrder.nativeOrder()) before it is filled, and before"
                    + " asFloatBuffer()");
        }
    }

    /**
     * Memory at an address, until an arena is closed.
     *
     * @param address of its first byte; not checked: what is no memory of this process, or less of it, ends the JVM
     * @param bytes how many there are
     * @param arena shared, automatic or global; closing it before the memory is freed makes every later use an {@link IllegalStateException} and no crash
     * @throws IllegalArgumentException if the address is 0 or negative, or there is no byte, or none that a 64-bit address can have
     * @throws IllegalStateException if the arena is closed
     */
    public static MemorySegment ofAddress(long address, long bytes, Arena arena) {
        if (address <= 0) {
            throw new IllegalArgumentException("the address of memory is "
                    + (address == 0 ? "0, which a library returns where it has none" : "0x" + Long.toHexString(address))
                    + "; it must be that of memory in this process");
        }
        if (bytes < 1 || bytes > Long.MAX_VALUE - address) {
            throw new IllegalArgumentException("the memory at address 0x" + Long.toHexString(address) + " has " + bytes
                    + " bytes; it must have at least 1, and end below 2^63");
        }
        return MemorySegment.ofAddress(address).reinterpret(bytes, arena, null);
    }
}
