package dev.muonium.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * A row-major array of elements outside the Java heap, with a shape, an element type and a name.
 *
 * <p>A tensor either owns its memory (made by an {@link Allocator}: closing frees it and takes it out of the ledger) or
 * borrows it ({@link #borrow}: closing forgets it). Use after {@link #close()} is an {@link IllegalStateException}.
 *
 * <p>The contents may be read and written by any thread; nothing here synchronizes them. Closing while another thread uses the
 * contents is the caller's mistake, which the segment's arena reports as an {@link IllegalStateException} where it can: while a
 * kernel uses them, but not while a matrix product does.
 */
public final class Tensor implements AutoCloseable {
    private final String name;
    private final ElementType type;
    private final Shape shape;
    private final MemorySegment segment;
    private final @Nullable Owner owner;
    private volatile boolean closed;

    /** What owning a tensor's memory means: the arena to close, and the entry to take back. */
    private record Owner(Arena arena, Ledger ledger, Purpose purpose, long bytes) {
        void free() {
            arena.close();
            ledger.freed(purpose, bytes);
        }
    }

    private Tensor(String name, ElementType type, Shape shape, MemorySegment segment, @Nullable Owner owner) {
        this.name = name;
        this.type = type;
        this.shape = shape;
        this.segment = segment;
        this.owner = owner;
    }

    /**
     * A tensor over memory that somebody else owns and keeps alive.
     *
     * @param segment off-heap, aligned to the element type, at least as large as the shape says
     * @throws IllegalArgumentException if it is on the heap, misaligned or too small
     */
    public static Tensor borrow(String name, ElementType type, Shape shape, MemorySegment segment) {
        Segments.requireOffHeap(name, segment, type, shape.elements());
        return new Tensor(name, type, shape, segment.asSlice(0, shape.elements() * type.byteSize()), null);
    }

    /**
     * A tensor that owns {@code segment}, which lives in {@code arena}; for implementers of {@link Allocator}.
     *
     * @param bytes what was asked of the system for it, entered in the ledger here and taken back by {@link #close()}
     */
    public static Tensor own(
            String name,
            ElementType type,
            Shape shape,
            MemorySegment segment,
            Arena arena,
            Ledger ledger,
            Purpose purpose,
            long bytes) {
        ledger.allocated(purpose, bytes);
        return new Tensor(name, type, shape, segment, new Owner(arena, ledger, purpose, bytes));
    }

    /** The name given when it was made. */
    public String name() {
        return name;
    }

    /** The type of its elements. */
    public ElementType type() {
        return type;
    }

    /** Its extents. */
    public Shape shape() {
        return shape;
    }

    /** The number of elements. */
    public long elements() {
        return shape.elements();
    }

    /** Bytes of its elements. */
    public long byteSize() {
        return shape.elements() * type.byteSize();
    }

    /**
     * The memory itself, of exactly {@link #byteSize()} bytes.
     *
     * @throws IllegalStateException after close
     */
    public MemorySegment segment() {
        if (closed) {
            throw new IllegalStateException("tensor '" + name + "' was used after it was closed");
        }
        return segment;
    }

    /** Element {@code i} of an {@link ElementType#F32} or {@link ElementType#BF16} tensor, as float. */
    public float getFloat(long i) {
        return switch (type) {
            case F32 -> segment().getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i);
            case BF16 -> Float.intBitsToFloat(segment().getAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i) << 16);
            default -> throw new IllegalStateException("tensor '" + name + "' holds " + type + ", not floats");
        };
    }

    /** Sets element {@code i} of an {@link ElementType#F32} or {@link ElementType#BF16} tensor (to nearest even). */
    public void setFloat(long i, float value) {
        switch (type) {
            case F32 -> segment().setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i, value);
            case BF16 -> segment().setAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i, Bf16.fromFloat(value));
            default -> throw new IllegalStateException("tensor '" + name + "' holds " + type + ", not floats");
        }
    }

    /** Copies {@code values} to the beginning of the tensor, converted to its element type. */
    public void copyFrom(float[] values) {
        if (values.length > elements()) {
            throw new IllegalArgumentException("tensor '" + name + "' of shape " + shape + " has " + elements()
                    + " elements, fewer than the " + values.length + " values to copy");
        }
        if (type == ElementType.F32) {
            MemorySegment.copy(values, 0, segment(), ValueLayout.JAVA_FLOAT_UNALIGNED, 0, values.length);
        } else {
            for (int i = 0; i < values.length; i++) {
                setFloat(i, values[i]);
            }
        }
    }

    /** All elements as a new array of floats; for tests and small tensors. */
    public float[] toFloatArray() {
        float[] values = new float[Math.toIntExact(elements())];
        for (int i = 0; i < values.length; i++) {
            values[i] = getFloat(i);
        }
        return values;
    }

    /**
     * Frees owned memory and takes it out of the ledger; forgets borrowed memory. A second call does nothing.
     *
     * <p>A matrix product that runs in another thread is given addresses and does not hold its operands: it must have ended
     * before one of them is closed, and nothing here can tell.
     *
     * @throws IllegalStateException if a kernel that another thread runs is using the memory; it is then still there
     */
    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        if (owner != null) {
            try {
                owner.free();
            } catch (IllegalStateException e) {
                throw new IllegalStateException(
                        "tensor '" + name + "' cannot be closed while a native call uses it; wait for the call to end",
                        e);
            }
        }
        closed = true;
    }

    /** For example {@code blocks.0.attn.q F32 256×256}. */
    @Override
    public String toString() {
        return name + " " + type + " " + shape;
    }
}
