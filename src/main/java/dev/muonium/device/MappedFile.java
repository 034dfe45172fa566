package dev.muonium.device;

import dev.muonium.MuoniumException;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Ledger;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Tensors in a memory-mapped file, for what is larger than the memory. The file has no name any more as soon as it is open, so that nothing is
 * left of it when the process ends, however it ends. Zeros are written when a tensor is allocated: a disk that is full is found then,
 * and not by a fault in the middle of a step.
 *
 * <p>All tensors are counted under {@link Purpose#OFFLOADED_STATE}, whatever was asked for. Thread-safe. Close the tensors first.
 */
public final class MappedFile implements Allocator, AutoCloseable {
    /** Of x86-64; a mapping begins at such a border. */
    private static final long PAGE = 4096;

    private static final int ZEROS = 1 << 20;
    private static final int WILL_NEED = 3;
    private static final int DO_NOT_NEED = 4;
    private static final Linker LINKER = Linker.nativeLinker();
    private static final MethodHandle MADVISE = LINKER.downcallHandle(
            LINKER.defaultLookup().findOrThrow("madvise"),
            FunctionDescriptor.of(
                    ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT));

    private final Path folder;
    private final FileChannel file;
    private final Ledger ledger;
    private long end;

    private MappedFile(Path folder, FileChannel file, Ledger ledger) {
        this.folder = folder;
        this.file = file;
        this.ledger = ledger;
    }

    /**
     * Makes a file in a folder, which is on a disk: in a file system in memory nothing would be saved.
     *
     * @throws MuoniumException if there is no such folder, or it cannot be written
     */
    public static MappedFile in(Path folder, Ledger ledger) {
        try {
            Path path = Files.createTempFile(folder, "muonium-", ".state");
            FileChannel channel = FileChannel.open(
                    path, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.DELETE_ON_CLOSE);
            Files.deleteIfExists(path);
            return new MappedFile(folder, channel, ledger);
        } catch (IOException e) {
            throw new MuoniumException("no file for optimizer state can be made in '" + folder + "': " + reason(e), e);
        }
    }

    private static String reason(IOException e) {
        return switch (e) {
            case NoSuchFileException _ -> "there is no such folder";
            case AccessDeniedException _ -> "access is denied";
            default -> e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
        };
    }

    /** The folder that the file was made in. */
    public Path folder() {
        return folder;
    }

    @Override
    public synchronized Tensor allocate(Purpose purpose, String name, ElementType type, Shape shape) {
        long bytes = Math.multiplyExact(shape.elements(), (long) type.byteSize());
        long begin = end;
        long size = Math.max(PAGE, (bytes + PAGE - 1) / PAGE * PAGE);
        try {
            writeZeros(begin, size);
            Arena arena = Arena.ofShared();
            MemorySegment mapped = file.map(MapMode.READ_WRITE, begin, size, arena);
            end = begin + size;
            return Tensor.own(
                    name, type, shape, mapped.asSlice(0, bytes), arena, ledger, Purpose.OFFLOADED_STATE, size);
        } catch (IOException e) {
            throw new MuoniumException(
                    "'" + name + "' needs " + size + " bytes of a file in '" + folder + "', which cannot be had: "
                            + reason(e),
                    e);
        }
    }

    private void writeZeros(long begin, long size) throws IOException {
        ByteBuffer zeros = ByteBuffer.allocateDirect((int) Math.min(ZEROS, size));
        for (long at = begin; at < begin + size; ) {
            zeros.clear().limit((int) Math.min(zeros.capacity(), begin + size - at));
            at += file.write(zeros, at);
        }
    }

    @Override
    public Ledger ledger() {
        return ledger;
    }

    /** Asks the system to read a part of a tensor of this file ahead; returns at once. */
    public static void willNeed(MemorySegment part) {
        advise(part, WILL_NEED);
    }

    /** Writes a part of a tensor of this file to the disk, waits for it, and takes it out of the process's memory. */
    public static void writeBack(MemorySegment part) {
        part.force();
        advise(part, DO_NOT_NEED);
    }

    private static void advise(MemorySegment part, int advice) {
        long begin = part.address() / PAGE * PAGE;
        long length = part.address() + part.byteSize() - begin;
        try {
            // An advice that is not taken (where a part of the pages has another owner, say) changes nothing but speed.
            int ignored = (int) MADVISE.invokeExact(MemorySegment.ofAddress(begin), length, advice);
        } catch (Throwable e) {
            throw new IllegalStateException("madvise cannot be called", e);
        }
    }

    /** Gives the file's blocks back to the disk when the last tensor was closed. A second call does nothing. */
    @Override
    public void close() {
        try {
            file.close();
        } catch (IOException e) {
            throw new MuoniumException("the file for optimizer state in '" + folder + "' cannot be closed", e);
        }
    }
}
