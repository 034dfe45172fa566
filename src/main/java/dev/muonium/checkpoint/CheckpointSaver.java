package dev.muonium.checkpoint;

import dev.muonium.MuoniumException;
import dev.muonium.bindings.mu.Muonium;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Saves checkpoints while training goes on: copies the state, which takes as long as the memory does, and leaves writing the copy to a thread of its own. The
 * copy is kept for the next save; the ledger counts it under {@link Purpose#CHECKPOINT}. In the foreground it returns when the checkpoint is on the disk, and
 * needs no copy of what the host has; what a GPU has is copied, once, all the same.
 *
 * <p>A save waits for the one before. One that fails does not stop the training: it is logged, {@link #failure()} has it, and the next one is tried.
 *
 * <p>Owns its folder and closes it. Use it on the thread that trains.
 */
public final class CheckpointSaver implements AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(CheckpointSaver.class);

    /** The version of the library that saved, for people: a checkpoint is refused by the version of its layout alone. */
    public static final String VERSION = "muonium_version";

    private final Device device;
    private final CheckpointFolder folder;
    private final boolean inBackground;
    private @Nullable Tensor copy;
    private @Nullable Thread writer;
    private volatile @Nullable CheckpointException failure;

    /**
     * @param folder where to save; closed with this
     * @param inBackground whether to write from a copy while training goes on
     */
    public CheckpointSaver(Device device, CheckpointFolder folder, boolean inBackground) {
        this.device = device;
        this.folder = folder;
        this.inBackground = inBackground;
    }

    /** The folder that it saves into. */
    public CheckpointFolder folder() {
        return folder;
    }

    /** Why the last save failed; empty if it did not, or is not done. */
    public Optional<CheckpointException> failure() {
        return Optional.ofNullable(failure);
    }

    /**
     * Saves, or begins to: when it returns, the state may be changed.
     *
     * @param step optimizer steps taken
     * @param values configuration and whatever else resuming needs; the manifest gets {@value #VERSION} beside them
     */
    public void save(long step, Map<String, String> values, TrainingState state) {
        await();
        Map<String, String> written = new TreeMap<>(values);
        written.put(VERSION, Muonium.mu_version().getString(0));
        List<LivePart> live = state.live();
        if (!inBackground && live.stream().allMatch(LivePart::isOnHost)) {
            write(step, written, live.stream().map(LivePart::inPlace).toList());
            return;
        }
        List<CheckpointPart> copied;
        try {
            copied = copied(live);
        } catch (MuoniumException e) {
            failed(new CheckpointException("the checkpoint of step " + step + " was not saved: " + e.getMessage(), e));
            return;
        }
        if (!inBackground) {
            write(step, written, copied);
            return;
        }
        writer = Thread.ofPlatform().name("muonium-checkpoint").daemon(false).start(() -> write(step, written, copied));
    }

    private void write(long step, Map<String, String> values, List<CheckpointPart> parts) {
        try {
            failure = null;
            folder.save(step, values, parts, inBackground);
        } catch (CheckpointException e) {
            failed(e);
        } catch (RuntimeException | OutOfMemoryError e) {
            failed(new CheckpointException("the checkpoint of step " + step + " was not saved: " + e, e));
        }
    }

    private void failed(CheckpointException e) {
        failure = e;
        LOG.warn("{}", e.getMessage());
    }

    private List<CheckpointPart> copied(List<LivePart> live) {
        long bytes = 0;
        for (LivePart part : live) {
            for (LiveTensor tensor : part.tensors()) {
                bytes += aligned(tensor.byteSize());
            }
        }
        MemorySegment memory = copyOf(Math.max(1, bytes)).segment();
        List<CheckpointPart> copied = new ArrayList<>();
        long at = 0;
        for (LivePart part : live) {
            List<StoredTensor> tensors = new ArrayList<>();
            for (LiveTensor tensor : part.tensors()) {
                tensors.add(tensor.copiedTo(memory.asSlice(at, tensor.byteSize()), device.memory()));
                at += aligned(tensor.byteSize());
            }
            copied.add(new CheckpointPart(part.name(), part.metadata(), tensors));
        }
        return copied;
    }

    private static long aligned(long bytes) {
        return (bytes + Long.BYTES - 1) / Long.BYTES * Long.BYTES;
    }

    private Tensor copyOf(long bytes) {
        if (copy == null || copy.byteSize() != bytes) {
            if (copy != null) {
                copy.close();
                copy = null;
            }
            copy = device.memory()
                    .allocateStaging(Purpose.CHECKPOINT, "copy for a checkpoint", ElementType.U8, Shape.of(bytes));
        }
        return copy;
    }

    /** Waits until the save that was begun is done. */
    public void await() {
        Thread running = writer;
        if (running == null) {
            return;
        }
        boolean interrupted = false;
        while (true) {
            try {
                running.join();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        writer = null;
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Waits for the save that was begun, frees the copy and closes the folder. A second call does nothing. */
    @Override
    public void close() {
        await();
        if (copy != null) {
            copy.close();
            copy = null;
        }
        folder.close();
    }
}
