package dev.muonium.optim;

import dev.muonium.device.MappedFile;
import dev.muonium.events.Events;
import dev.muonium.events.OffloadCopyEvent;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.Ledger;
import dev.muonium.quant.QuantizedTensor;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * State in a file, and the thread that reads it ahead and writes it behind. What was used and is not written yet is bounded: whoever
 * would exceed {@link #WINDOW} waits for the disk.
 */
final class StateFile implements AutoCloseable {
    /** Bytes of used state that may wait to be written, and so about how much of it is in the process's memory. */
    static final long WINDOW = 64L << 20;

    private static final int UNIT = 1 << 12;
    private static final int PERMITS = (int) (WINDOW / UNIT);

    private final MappedFile file;
    private final Semaphore room = new Semaphore(PERMITS);
    private final ExecutorService thread = Executors.newSingleThreadExecutor(
            Thread.ofPlatform().name("muonium-offload").daemon(true).factory());

    StateFile(Path folder, Ledger ledger) {
        this.file = MappedFile.in(folder, ledger);
    }

    Path folder() {
        return file.folder();
    }

    Allocator allocator() {
        return file;
    }

    /** Begins to read elements of state that will be used soon. */
    void readAhead(List<Slot.NamedState> state, long begin, long end) {
        for (Slot.NamedState named : state) {
            MappedFile.willNeed(codes(named.tensor(), begin, end));
        }
    }

    /** Begins to write elements of state that were used; waits while too much waits already. */
    void writeBehind(List<Slot.NamedState> state, long begin, long end) {
        for (Slot.NamedState named : state) {
            QuantizedTensor tensor = named.tensor();
            behind(codes(tensor, begin, end));
            MemorySegment scales = tensor.scales();
            if (scales != null) {
                int block = tensor.block();
                behind(scales.asSlice(
                        begin / block * Float.BYTES, ((end + block - 1) / block - begin / block) * Float.BYTES));
            }
        }
    }

    private void behind(MemorySegment part) {
        int permits = (int) Math.min(PERMITS, part.byteSize() / UNIT + 1);
        room.acquireUninterruptibly(permits);
        thread.execute(() -> {
            try {
                write(part);
            } finally {
                room.release(permits);
            }
        });
    }

    private static void write(MemorySegment part) {
        OffloadCopyEvent event = Events.offloadCopy();
        MappedFile.writeBack(part);
        if (event != null) {
            event.direction = "mapping to disk";
            event.bytes = part.byteSize();
            event.commit();
        }
    }

    private static MemorySegment codes(QuantizedTensor tensor, long begin, long end) {
        int bytes = tensor.format().codeType().byteSize();
        return tensor.codes().asSlice(begin * bytes, (end - begin) * bytes);
    }

    /** Returns when all that was used is written. */
    void flush() {
        room.acquireUninterruptibly(PERMITS);
        room.release(PERMITS);
    }

    /** Ends the thread; the tensors must be closed after this, and before {@link #closeFile}. */
    @Override
    public void close() {
        thread.shutdown();
        boolean interrupted = false;
        while (true) {
            try {
                if (thread.awaitTermination(1, TimeUnit.DAYS)) {
                    break;
                }
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    void closeFile() {
        file.close();
    }
}
