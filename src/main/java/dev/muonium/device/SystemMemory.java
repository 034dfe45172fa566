package dev.muonium.device;

import dev.muonium.OutOfDeviceMemoryException;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Ledger;
import dev.muonium.memory.MemoryReport;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.ResidentMemory;
import dev.muonium.memory.Segments;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * Tensors in the memory of the C library, aligned to cache lines. Not from the JDK's arenas: those count against
 * {@code MaxDirectMemorySize}, and report that limit instead of what the system has.
 *
 * <p>Zeros are written at once, so that the pages exist when the tensor does. The system may still promise more than it
 * has (overcommit); then it ends the process instead of refusing.
 */
final class SystemMemory implements Allocator, DeviceMemory {
    /** Bytes: a cache line, and the widest vector register. What is asked for is rounded up to it. */
    static final int ALIGNMENT = 64;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final MethodHandle POSIX_MEMALIGN = LINKER.downcallHandle(
            LINKER.defaultLookup().findOrThrow("posix_memalign"),
            FunctionDescriptor.of(
                    ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));
    private static final MethodHandle FREE = LINKER.downcallHandle(
            LINKER.defaultLookup().findOrThrow("free"), FunctionDescriptor.ofVoid(ValueLayout.ADDRESS));
    private static final AddressLayout POINTER = ValueLayout.ADDRESS;

    private final String device;
    private final Ledger ledger;
    private volatile boolean closed;

    /** @param device what messages call the device whose ledger it is, for example {@code the CPU device} */
    SystemMemory(String device, Ledger ledger) {
        this.device = device;
        this.ledger = ledger;
    }

    @Override
    public Ledger ledger() {
        return ledger;
    }

    /** From now on nothing is allocated; what is there stays until its owners close it. */
    void close() {
        closed = true;
    }

    @Override
    public Tensor allocate(Purpose purpose, String name, ElementType type, Shape shape) {
        if (closed) {
            throw new IllegalStateException(device + " was used after it was closed");
        }
        long size = size(name, type, shape);
        long asked = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        MemorySegment address = allocate(asked);
        if (address.equals(MemorySegment.NULL)) {
            throw new OutOfDeviceMemoryException(
                    "the system has no " + asked + " bytes for '" + name + "' (" + purpose + ", " + type + " " + shape
                            + "); what there is:\n" + report(),
                    asked,
                    ResidentMemory.availableBytes());
        }
        Arena arena = Arena.ofShared();
        MemorySegment memory = address.reinterpret(asked, arena, SystemMemory::free);
        memory.fill((byte) 0);
        return Tensor.own(name, type, shape, memory.asSlice(0, size), arena, ledger, purpose, asked);
    }

    MemoryReport report() {
        return ledger.report(device, ResidentMemory.beside(ledger.total()));
    }

    @Override
    public boolean isHost() {
        return true;
    }

    @Override
    public void requireReadable(String name, MemorySegment segment, ElementType type, long elements) {
        Segments.requireOffHeap(name, segment, type, elements);
    }

    @Override
    public void requireWritable(String name, MemorySegment segment, ElementType type, long elements) {
        Segments.requireWritable(name, segment, type, elements);
    }

    @Override
    public MemorySegment slice(MemorySegment segment, long byteOffset, long bytes) {
        return segment.asSlice(byteOffset, bytes);
    }

    @Override
    public void copyIn(MemorySegment host, long hostOffset, MemorySegment target, long targetOffset, long bytes) {
        MemorySegment.copy(host, hostOffset, target, targetOffset, bytes);
    }

    @Override
    public void copyOut(MemorySegment source, long sourceOffset, MemorySegment host, long hostOffset, long bytes) {
        MemorySegment.copy(source, sourceOffset, host, hostOffset, bytes);
    }

    @Override
    public void copy(MemorySegment from, long fromOffset, MemorySegment to, long toOffset, long bytes) {
        MemorySegment.copy(from, fromOffset, to, toOffset, bytes);
    }

    @Override
    public void zero(MemorySegment segment, long offset, long bytes) {
        segment.asSlice(offset, bytes).fill((byte) 0);
    }

    @Override
    public Tensor allocateStaging(Purpose purpose, String name, ElementType type, Shape shape) {
        return allocate(purpose, name, type, shape);
    }

    @Override
    public void stageIn(MemorySegment staging, MemorySegment target, long bytes) {
        MemorySegment.copy(staging, 0, target, 0, bytes);
    }

    @Override
    public void stageOut(MemorySegment source, MemorySegment staging, long bytes) {
        MemorySegment.copy(source, 0, staging, 0, bytes);
    }

    private static long size(String name, ElementType type, Shape shape) {
        if (shape.elements() > (Long.MAX_VALUE - ALIGNMENT) / type.byteSize()) {
            throw new IllegalArgumentException(
                    "'" + name + "' of " + type + " " + shape + " has more bytes than a 64-bit count can hold");
        }
        return shape.elements() * type.byteSize();
    }

    /** The memory, or NULL. */
    private static MemorySegment allocate(long bytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(POINTER);
            int error = (int) POSIX_MEMALIGN.invokeExact(out, (long) ALIGNMENT, bytes);
            return error == 0 ? out.get(POINTER, 0) : MemorySegment.NULL;
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError("posix_memalign throws nothing", e);
        }
    }

    private static void free(MemorySegment memory) {
        try {
            FREE.invokeExact(memory);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError("free throws nothing", e);
        }
    }
}
