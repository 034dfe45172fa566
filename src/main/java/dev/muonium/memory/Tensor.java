package dev.muonium.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
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
    private final @Nullable DeviceMemory device;
    private final @Nullable Runnable release;
    private volatile boolean closed;

    /** @param device what reads and writes the segment where Java cannot; null where it can */
    private Tensor(
            String name,
            ElementType type,
            Shape shape,
            MemorySegment segment,
            @Nullable DeviceMemory device,
            @Nullable Runnable release) {
        this.name = name;
        this.type = type;
        this.shape = shape;
        this.segment = segment;
        this.device = device;
        this.release = release;
    }

    /**
     * A tensor over memory that somebody else owns and keeps alive.
     *
     * @param segment off-heap, aligned to the element type, at least as large as the shape says
     * @throws IllegalArgumentException if it is on the heap, misaligned or too small
     */
    public static Tensor borrow(String name, ElementType type, Shape shape, MemorySegment segment) {
        Segments.requireOffHeap(name, segment, type, shape.elements());
        return new Tensor(name, type, shape, segment.asSlice(0, shape.elements() * type.byteSize()), null, null);
    }

    /**
     * A tensor over memory of a device that somebody else owns and keeps alive.
     *
     * @param segment memory of that device, aligned to the element type, at least as large as the shape says
     * @param arena what the segment lives in, closed with the tensor
     * @throws IllegalArgumentException if it is not
     */
    public static Tensor borrow(
            String name, ElementType type, Shape shape, MemorySegment segment, DeviceMemory device, Arena arena) {
        device.requireReadable(name, segment, type, shape.elements());
        return new Tensor(name, type, shape, segment, device, arena::close);
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
        return new Tensor(name, type, shape, segment, null, release(arena, ledger.enter(purpose, name, bytes)));
    }

    /** The same for memory that Java cannot read and write itself. */
    public static Tensor own(
            String name,
            ElementType type,
            Shape shape,
            MemorySegment segment,
            DeviceMemory device,
            Arena arena,
            Ledger ledger,
            Purpose purpose,
            long bytes) {
        return new Tensor(name, type, shape, segment, device, release(arena, ledger.enter(purpose, name, bytes)));
    }

    /**
     * A tensor over a part of this one's memory, which lives as long as this one.
     *
     * @param first the element of this tensor that it begins with
     * @throws IllegalArgumentException if it would end behind this tensor
     */
    public Tensor view(String viewName, long first, Shape viewShape) {
        if (first < 0 || first > elements() - viewShape.elements()) {
            throw new IllegalArgumentException("'" + viewName + "' would be elements " + first + " to "
                    + (first + viewShape.elements()) + " of tensor '" + name + "', which has " + elements());
        }
        long begin = first * type.byteSize();
        long bytes = viewShape.elements() * type.byteSize();
        MemorySegment part = device == null ? segment().asSlice(begin, bytes) : device.slice(segment(), begin, bytes);
        return new Tensor(viewName, type, viewShape, part, device, null);
    }

    /** What owning a tensor's memory means: the arena to close, and the entry to take back. */
    private static Runnable release(Arena arena, Ledger.Entry entry) {
        return () -> {
            arena.close();
            entry.close();
        };
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
     * The memory itself, of exactly {@link #byteSize()} bytes; of a GPU, a segment of length zero at its address.
     *
     * @throws IllegalStateException after close
     */
    public MemorySegment segment() {
        if (closed) {
            throw new IllegalStateException("tensor '" + name + "' was used after it was closed");
        }
        return segment;
    }

    /**
     * Element {@code i} of an {@link ElementType#F32} or {@link ElementType#BF16} tensor, as float. On a GPU it is a copy that waits
     * for everything started before: for tests and single values.
     */
    public float getFloat(long i) {
        requireFloats();
        if (device == null) {
            return decode(segment(), i);
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(type.byteSize(), type.byteSize());
            device.copyOut(segment(), Objects.checkIndex(i, elements()) * type.byteSize(), host, 0, type.byteSize());
            return decode(host, 0);
        }
    }

    /** Sets element {@code i} of an {@link ElementType#F32} or {@link ElementType#BF16} tensor (to nearest even). */
    public void setFloat(long i, float value) {
        requireFloats();
        if (device == null) {
            encode(value, segment(), i);
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(type.byteSize(), type.byteSize());
            encode(value, host, 0);
            device.copyIn(host, 0, segment(), Objects.checkIndex(i, elements()) * type.byteSize(), type.byteSize());
        }
    }

    /** Copies {@code values} to the beginning of the tensor, converted to its element type. */
    public void copyFrom(float[] values) {
        if (values.length > elements()) {
            throw new IllegalArgumentException("tensor '" + name + "' of shape " + shape + " has " + elements()
                    + " elements, fewer than the " + values.length + " values to copy");
        }
        requireFloats();
        if (device == null) {
            encode(values, segment());
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate((long) values.length * type.byteSize(), type.byteSize());
            encode(values, host);
            device.copyIn(host, 0, segment(), 0, host.byteSize());
        }
    }

    /** All elements as a new array of floats; for tests and small tensors. */
    public float[] toFloatArray() {
        requireFloats();
        float[] values = new float[Math.toIntExact(elements())];
        if (device == null) {
            decode(segment(), values);
            return values;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(byteSize(), type.byteSize());
            device.copyOut(segment(), 0, host, 0, host.byteSize());
            decode(host, values);
        }
        return values;
    }

    private void requireFloats() {
        if (type != ElementType.F32 && type != ElementType.BF16) {
            throw new IllegalStateException("tensor '" + name + "' holds " + type + ", not floats");
        }
    }

    private float decode(MemorySegment memory, long i) {
        return type == ElementType.F32
                ? memory.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i)
                : Bf16.toFloat(memory.getAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i));
    }

    private void decode(MemorySegment memory, float[] values) {
        for (int i = 0; i < values.length; i++) {
            values[i] = decode(memory, i);
        }
    }

    private void encode(float value, MemorySegment memory, long i) {
        if (type == ElementType.F32) {
            memory.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i, value);
        } else {
            memory.setAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i, Bf16.fromFloat(value));
        }
    }

    private void encode(float[] values, MemorySegment memory) {
        for (int i = 0; i < values.length; i++) {
            encode(values[i], memory, i);
        }
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
        if (release != null) {
            try {
                release.run();
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
