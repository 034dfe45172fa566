package dev.muonium.device;

import dev.muonium.OutOfDeviceMemoryException;
import dev.muonium.bindings.cudart.CudaRuntime;
import dev.muonium.bindings.cudart.cudaPointerAttributes;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Ledger;
import dev.muonium.memory.MemoryReport;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.ResidentMemory;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * The memory of a GPU. Segments have the length zero, so that Java cannot dereference them; how long they are, and whether they
 * are still in use, {@link LiveMemory} knows.
 *
 * <p>Tensors that are still open when the device is closed keep their memory until they are closed, as on the CPU; the pool and the
 * stream, through which they are freed, go with the last of them.
 */
final class CudaMemory implements Allocator, DeviceMemory {
    /** Bytes that what is asked for is rounded up to: the alignment that CUDA gives. */
    static final int ALIGNMENT = 256;

    private static final Logger LOG = LogManager.getLogger(CudaMemory.class);

    /** Of all open devices, to say of a wrong segment whose it is. */
    private static final List<CudaMemory> OPEN = new CopyOnWriteArrayList<>();

    /** Host memory that is not page-locked is copied from and to the heap in pieces of this size. */
    private static final long PIECE = 4L << 20;

    private final CudaStream stream;
    private final CudaPool pool;
    private final Ledger ledger;
    private final LiveMemory live = new LiveMemory();
    private int owned; // allocations of our own that are live; guarded by this
    private boolean closed; // guarded by this

    CudaMemory(CudaStream stream, CudaPool pool, Ledger ledger) {
        this.stream = stream;
        this.pool = pool;
        this.ledger = ledger;
        OPEN.add(this);
    }

    @Override
    public Ledger ledger() {
        return ledger;
    }

    @Override
    public boolean isHost() {
        return false;
    }

    // --- allocation

    @Override
    public Tensor allocate(Purpose purpose, String name, ElementType type, Shape shape) {
        stream.enterOutsideRecording("'" + name + "' cannot be allocated");
        long asked = asked(name, type, shape);
        long bytes = shape.elements() * type.byteSize(); // what is rounded up is not to be used
        long address = pool.allocate(asked);
        if (address == 0) {
            throw outOfMemory(asked, "'" + name + "' (" + purpose + ", " + type + " " + shape + ")");
        }
        began(address, bytes);
        Arena arena = Arena.ofShared();
        MemorySegment segment =
                MemorySegment.ofAddress(address).reinterpret(0, arena, _ -> stream.free(() -> free(address, bytes)));
        try {
            stream.check(CudaRuntime.cudaMemsetAsync(segment, 0, asked, stream.handle()), "cudaMemsetAsync");
        } catch (RuntimeException | Error e) {
            arena.close();
            throw e;
        }
        return Tensor.own(name, type, shape, segment, this, arena, ledger, purpose, asked);
    }

    private synchronized void began(long address, long bytes) {
        owned++;
        live.add(address, bytes);
    }

    private void free(long address, long bytes) {
        pool.free(address);
        synchronized (this) {
            live.remove(address, bytes);
            owned--;
            releaseIfLast();
        }
    }

    private static long asked(String name, ElementType type, Shape shape) {
        if (shape.elements() > (Long.MAX_VALUE - ALIGNMENT) / type.byteSize()) {
            throw new IllegalArgumentException(
                    "'" + name + "' of " + type + " " + shape + " has more bytes than a 64-bit count can hold");
        }
        long size = shape.elements() * type.byteSize();
        return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /** What was asked for, what there is, who has it, and what would help. */
    OutOfDeviceMemoryException outOfMemory(long asked, String what) {
        long[] info = info();
        return new OutOfDeviceMemoryException(
                stream.device() + " has no " + asked + " bytes for " + what + ": " + info[0] + " of its " + info[1]
                        + " bytes are free; smaller batches, 8-bit optimizer state, BF16 weights and activations, or a"
                        + " smaller cap of the optimizer's workspace need less, and other programs on this GPU may"
                        + " hold the rest. What there is:\n"
                        + report(info),
                asked,
                info[0]);
    }

    MemoryReport report() {
        return report(info());
    }

    /** What the GPU has in use beside what the ledger counts, which has memory of the host among it: so it is an estimate. */
    private MemoryReport report(long[] info) {
        Map<String, Long> outside = new LinkedHashMap<>();
        long used = info[1] - info[0];
        outside.put("in use on the GPU, whoever has it", used);
        outside.put(
                "of that at least as much for the CUDA context, libraries and other programs",
                Math.max(0, used - ledger.total()));
        outside.put("free on the GPU", info[0]);
        outside.putAll(ResidentMemory.beside(0));
        return ledger.report(stream.device(), outside);
    }

    /** Bytes that are free, and that there are, of the whole GPU. */
    long[] info() {
        stream.enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment free = arena.allocate(ValueLayout.JAVA_LONG);
            MemorySegment total = arena.allocate(ValueLayout.JAVA_LONG);
            stream.checkDone(CudaRuntime.cudaMemGetInfo(free, total), "cudaMemGetInfo");
            return new long[] {free.get(ValueLayout.JAVA_LONG, 0), total.get(ValueLayout.JAVA_LONG, 0)};
        }
    }

    @Override
    public Tensor allocateStaging(Purpose purpose, String name, ElementType type, Shape shape) {
        stream.enterOutsideRecording("'" + name + "' cannot be allocated");
        long asked = asked(name, type, shape);
        MemorySegment address;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            int status = CudaRuntime.cudaHostAlloc(out, asked, CudaRuntime.cudaHostAllocPortable());
            if (status == CudaRuntime.cudaErrorMemoryAllocation()) {
                var _ = CudaRuntime.cudaGetLastError();
                throw new OutOfDeviceMemoryException(
                        "the system gives no " + asked + " bytes of page-locked memory for '" + name + "' (" + purpose
                                + ", " + type + " " + shape
                                + "); other programs may hold it, or the system limits it (ulimit -l). What there is:\n"
                                + report(info()),
                        asked,
                        0);
            }
            stream.checkDone(status, "cudaHostAlloc");
            address = out.get(ValueLayout.ADDRESS, 0);
        }
        synchronized (this) {
            owned++;
        }
        Arena arena = Arena.ofShared();
        MemorySegment memory = address.reinterpret(asked, arena, segment -> stream.free(() -> freeStaging(segment)));
        memory.fill((byte) 0);
        return Tensor.own(
                name,
                type,
                shape,
                memory.asSlice(0, shape.elements() * type.byteSize()),
                arena,
                ledger,
                purpose,
                asked);
    }

    private void freeStaging(MemorySegment memory) {
        if (stream.enterToFree()) {
            // A copy from or to it may not have been done yet, and freeing it is not in the stream's order.
            stream.report(CudaRuntime.cudaStreamSynchronize(stream.handle()), "cudaStreamSynchronize");
            stream.report(CudaRuntime.cudaFreeHost(memory), "cudaFreeHost");
        }
        synchronized (this) {
            owned--;
            releaseIfLast();
        }
    }

    /** Memory of this GPU that somebody else owns, made known for as long as the tensor is open. */
    Tensor wrap(String name, ElementType type, Shape shape, long address) {
        stream.enter();
        long bytes = asked(name, type, shape) == 0 ? 0 : shape.elements() * type.byteSize();
        requireOnThisGpu(name, address);
        requireOnThisGpu(name, address + bytes - 1);
        Arena arena = Arena.ofShared();
        live.add(address, bytes);
        try {
            MemorySegment segment =
                    MemorySegment.ofAddress(address).reinterpret(0, arena, _ -> live.remove(address, bytes));
            return Tensor.borrow(name, type, shape, segment, this, arena);
        } catch (RuntimeException | Error e) {
            arena.close();
            throw e;
        }
    }

    private void requireOnThisGpu(String name, long address) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment attributes = cudaPointerAttributes.allocate(arena);
            stream.checkDone(
                    CudaRuntime.cudaPointerGetAttributes(attributes, MemorySegment.ofAddress(address)),
                    "cudaPointerGetAttributes");
            int type = cudaPointerAttributes.type(attributes);
            if (type != CudaRuntime.cudaMemoryTypeDevice() && type != CudaRuntime.cudaMemoryTypeManaged()) {
                throw new IllegalArgumentException("'" + name + "' at address 0x" + Long.toHexString(address)
                        + " is not memory of a GPU; copy it to a tensor of " + stream.device());
            }
            int ordinal = cudaPointerAttributes.device(attributes);
            if (ordinal != stream.ordinal()) {
                throw new IllegalArgumentException("'" + name + "' at address 0x" + Long.toHexString(address)
                        + " is memory of cuda:" + ordinal + ", not of " + stream.device());
            }
        }
    }

    // --- checks

    @Override
    public void requireReadable(String name, MemorySegment segment, ElementType type, long elements) {
        if (!segment.isNative()) {
            throw new IllegalArgumentException("'" + name + "' lies on the Java heap, where " + stream.device()
                    + " cannot reach it; copy it to a tensor of that device");
        }
        if (!segment.scope().isAlive()) {
            throw new IllegalStateException("'" + name + "' was used after it was freed");
        }
        if (elements <= 0) {
            return; // nothing of it is touched, or the callee refuses it
        }
        long address = segment.address();
        if (address % type.byteSize() != 0) {
            throw new IllegalArgumentException("'" + name + "' starts at address 0x" + Long.toHexString(address)
                    + ", which is not a multiple of the " + type.byteSize() + " bytes of " + type);
        }
        long bytes = live.bytesFrom(address);
        if (bytes == 0) {
            throw notOurs(name, segment);
        }
        if (bytes / type.byteSize() < elements) {
            boolean countable = elements <= Long.MAX_VALUE / type.byteSize();
            throw new IllegalArgumentException("'" + name + "' has " + bytes + " bytes; " + elements + " elements of "
                    + type + " need " + (countable ? elements * type.byteSize() : "more than a 64-bit count can hold"));
        }
    }

    @Override
    public void requireWritable(String name, MemorySegment segment, ElementType type, long elements) {
        requireReadable(name, segment, type, elements);
        if (segment.isReadOnly()) {
            throw new IllegalArgumentException("'" + name + "' is read-only, but it is updated in place");
        }
    }

    private IllegalArgumentException notOurs(String name, MemorySegment segment) {
        long address = segment.address();
        for (CudaMemory other : OPEN) {
            if (other != this && other.live.bytesFrom(address) > 0) {
                boolean sameGpu = other.stream.ordinal() == stream.ordinal();
                return new IllegalArgumentException("'" + name + "' is memory of "
                        + (sameGpu ? "another device that was opened on " : "") + other.stream.device()
                        + ", not of this device on " + stream.device()
                        + (sameGpu ? "; use one device for both" : "; copy it by way of the host"));
            }
        }
        if (segment.byteSize() > 0) {
            return new IllegalArgumentException("'" + name + "' is memory of the host, where " + stream.device()
                    + " does not look for it; copy it to a tensor of that device");
        }
        return new IllegalArgumentException("'" + name + "' at address 0x" + Long.toHexString(address)
                + " is no memory that " + stream.device()
                + " knows; memory of somebody else's is made known with CudaDevice.wrap");
    }

    private void requireBytes(String name, MemorySegment segment, long offset, long bytes) {
        if (offset < 0 || bytes < 0 || offset > Long.MAX_VALUE - bytes) {
            throw new IndexOutOfBoundsException(
                    "offset " + offset + " and " + bytes + " bytes of '" + name + "' do not describe a range");
        }
        requireReadable(name, segment, ElementType.U8, offset + bytes);
    }

    @Override
    public MemorySegment slice(MemorySegment segment, long byteOffset, long bytes) {
        requireBytes("the segment", segment, byteOffset, bytes);
        return segment.reinterpret(byteOffset).asSlice(byteOffset);
    }

    // --- copies

    @Override
    public void copyIn(MemorySegment host, long hostOffset, MemorySegment target, long targetOffset, long bytes) {
        stream.enterOutsideRecording("a copy from the host that waits cannot be made");
        MemorySegment from = host.asSlice(hostOffset, bytes);
        requireBytes("the target", target, targetOffset, bytes);
        requireWritable("the target", target, ElementType.U8, 0);
        if (from.isNative()) {
            transfer(from, target.address() + targetOffset, bytes);
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment piece = arena.allocate(Math.min(bytes, PIECE));
            for (long done = 0; done < bytes; done += PIECE) {
                long now = Math.min(PIECE, bytes - done);
                MemorySegment.copy(from, done, piece, 0, now);
                transfer(piece, target.address() + targetOffset + done, now);
            }
        }
    }

    private void transfer(MemorySegment host, long target, long bytes) {
        if (bytes > 0) {
            stream.check(
                    CudaRuntime.cudaMemcpyAsync(
                            MemorySegment.ofAddress(target),
                            host,
                            bytes,
                            CudaRuntime.cudaMemcpyHostToDevice(),
                            stream.handle()),
                    "cudaMemcpyAsync");
            stream.synchronize(); // page-locked memory would be read later
        }
    }

    @Override
    public void copyOut(MemorySegment source, long sourceOffset, MemorySegment host, long hostOffset, long bytes) {
        stream.enterOutsideRecording("a copy to the host that waits cannot be made");
        MemorySegment to = host.asSlice(hostOffset, bytes);
        requireBytes("the source", source, sourceOffset, bytes);
        if (to.isReadOnly()) {
            throw new IllegalArgumentException("the host's memory is read-only, but it is copied to");
        }
        if (to.isNative()) {
            transferBack(source.address() + sourceOffset, to, bytes);
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment piece = arena.allocate(Math.min(bytes, PIECE));
            for (long done = 0; done < bytes; done += PIECE) {
                long now = Math.min(PIECE, bytes - done);
                transferBack(source.address() + sourceOffset + done, piece, now);
                MemorySegment.copy(piece, 0, to, done, now);
            }
        }
    }

    private void transferBack(long source, MemorySegment host, long bytes) {
        if (bytes > 0) {
            stream.check(
                    CudaRuntime.cudaMemcpyAsync(
                            host,
                            MemorySegment.ofAddress(source),
                            bytes,
                            CudaRuntime.cudaMemcpyDeviceToHost(),
                            stream.handle()),
                    "cudaMemcpyAsync");
            stream.synchronize();
        }
    }

    @Override
    public void copy(MemorySegment from, long fromOffset, MemorySegment to, long toOffset, long bytes) {
        stream.enter();
        requireBytes("the source", from, fromOffset, bytes);
        requireBytes("the target", to, toOffset, bytes);
        requireWritable("the target", to, ElementType.U8, 0);
        if (bytes > 0) {
            stream.check(
                    CudaRuntime.cudaMemcpyAsync(
                            MemorySegment.ofAddress(to.address() + toOffset),
                            MemorySegment.ofAddress(from.address() + fromOffset),
                            bytes,
                            CudaRuntime.cudaMemcpyDeviceToDevice(),
                            stream.handle()),
                    "cudaMemcpyAsync");
        }
    }

    @Override
    public void zero(MemorySegment segment, long offset, long bytes) {
        stream.enter();
        requireBytes("the segment", segment, offset, bytes);
        requireWritable("the segment", segment, ElementType.U8, 0);
        if (bytes > 0) {
            stream.check(
                    CudaRuntime.cudaMemsetAsync(
                            MemorySegment.ofAddress(segment.address() + offset), 0, bytes, stream.handle()),
                    "cudaMemsetAsync");
        }
    }

    @Override
    public void stageIn(MemorySegment staging, MemorySegment target, long bytes) {
        stream.enter();
        MemorySegment from = staging.asSlice(0, bytes);
        requireStaging(from);
        requireBytes("the target", target, 0, bytes);
        requireWritable("the target", target, ElementType.U8, 0);
        if (bytes > 0) {
            stream.check(
                    CudaRuntime.cudaMemcpyAsync(
                            target, from, bytes, CudaRuntime.cudaMemcpyHostToDevice(), stream.handle()),
                    "cudaMemcpyAsync");
        }
    }

    @Override
    public void stageOut(MemorySegment source, MemorySegment staging, long bytes) {
        stream.enter();
        MemorySegment to = staging.asSlice(0, bytes);
        requireStaging(to);
        requireBytes("the source", source, 0, bytes);
        if (bytes > 0) {
            stream.check(
                    CudaRuntime.cudaMemcpyAsync(
                            to, source, bytes, CudaRuntime.cudaMemcpyDeviceToHost(), stream.handle()),
                    "cudaMemcpyAsync");
        }
    }

    private static void requireStaging(MemorySegment segment) {
        if (!segment.isNative()) {
            throw new IllegalArgumentException("staging memory lies on the Java heap; take it from allocateStaging");
        }
    }

    // --- the end

    /** Frees what is left to free when the last tensor is closed: now, if there is none. */
    synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        OPEN.remove(this);
        if (owned > 0) {
            LOG.warn(
                    "{} was closed while {} tensors of it were open; their memory is freed when they are closed: {}",
                    stream.device(),
                    owned,
                    ledger);
        }
        releaseIfLast();
    }

    private void releaseIfLast() {
        if (closed && owned == 0) {
            pool.destroy();
            stream.destroy();
        }
    }
}
