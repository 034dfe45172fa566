package dev.muonium.checkpoint;

import dev.muonium.device.Device;
import dev.muonium.events.CheckpointEvent;
import dev.muonium.events.Events;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.Optimizer;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * All that a training run must find again to go on with the same bits: weights, what the optimizers keep, and whatever else is a
 * {@link StateSource}.
 *
 * <pre>{@code
 * TrainingState state = new TrainingState(device).weights("blocks.0.attn.q", q).optimizer(optimizer);
 * try (CheckpointSaver saver = new CheckpointSaver(device, CheckpointFolder.open(Path.of("run"), 3), true)) {
 *     CheckpointFolder.Found found = CheckpointFolder.newest(saver.folder().path());
 *     try (Checkpoint checkpoint = found.checkpoint().orElse(null)) {
 *         if (checkpoint != null) {
 *             state.restore(checkpoint);
 *         }
 *     }
 *     // … train, and now and then:
 *     saver.save(optimizer.steps(), Map.of("seed", "1"), state);
 * }
 * }</pre>
 *
 * <p>Everything it was given stays the caller's. Not thread-safe; use it between steps.
 */
public final class TrainingState {
    private final DeviceMemory memory;
    private final WeightsSource weights;
    private final List<StateSource> sources = new ArrayList<>();

    /** A state of nothing yet. */
    public TrainingState(Device device) {
        this.memory = device.memory();
        this.weights = new WeightsSource(memory, CheckpointPart.MODEL);
        sources.add(weights);
    }

    /**
     * Adds weights, on the device or in memory of the host.
     *
     * @throws IllegalArgumentException if there are weights of that name
     */
    public TrainingState weights(String name, Tensor tensor) {
        weights.add(name, tensor);
        return this;
    }

    /** Adds what an optimizer keeps. */
    public TrainingState optimizer(Optimizer optimizer) {
        return source(StateSource.of(optimizer));
    }

    /** Adds something else. */
    public TrainingState source(StateSource source) {
        sources.add(source);
        return this;
    }

    /**
     * Everything as it is now: views of live memory where the host has it, else copies, which the garbage collector frees and the ledger does not count. To look
     * at; {@link CheckpointSaver} copies once, into memory that is counted.
     */
    public List<CheckpointPart> parts() {
        List<CheckpointPart> parts = new ArrayList<>();
        for (LivePart part : live()) {
            List<StoredTensor> tensors = new ArrayList<>();
            for (LiveTensor tensor : part.tensors()) {
                tensors.add(
                        tensor.isOnHost()
                                ? tensor.inPlace()
                                : tensor.copiedTo(
                                        Arena.ofAuto().allocate(Math.max(1, tensor.byteSize()), Long.BYTES), memory));
            }
            parts.add(new CheckpointPart(part.name(), part.metadata(), tensors));
        }
        return parts;
    }

    /** Everything where it lies. */
    List<LivePart> live() {
        Map<String, List<LiveTensor>> tensors = new LinkedHashMap<>();
        Map<String, Map<String, String>> metadata = new LinkedHashMap<>();
        for (StateSource source : sources) {
            tensors.computeIfAbsent(source.part(), part -> new ArrayList<>()).addAll(source.tensors());
            metadata.computeIfAbsent(source.part(), part -> new TreeMap<>(Map.of("producer", "muonium")))
                    .putAll(source.metadata());
        }
        List<LivePart> parts = new ArrayList<>();
        tensors.forEach((part, list) -> parts.add(new LivePart(part, metadata.getOrDefault(part, Map.of()), list)));
        return parts;
    }

    /**
     * Restores everything from a checkpoint, or, if that is one of something else, nothing.
     *
     * @throws CheckpointException if a tensor is missing or has another type, format or shape; nothing was changed
     */
    public void restore(Checkpoint checkpoint) {
        CheckpointEvent event = Events.checkpoint();
        if (event == null) {
            copyFrom(checkpoint);
            return;
        }
        event.operation = "restore";
        event.step = checkpoint.step();
        event.bytes = checkpoint.byteSize();
        try {
            copyFrom(checkpoint);
        } catch (RuntimeException e) {
            event.failure = e.getMessage();
            throw e;
        } finally {
            event.commit();
        }
    }

    private void copyFrom(Checkpoint checkpoint) {
        for (StateSource source : sources) {
            source.check(checkpoint.part(source.part()));
        }
        for (StateSource source : sources) {
            source.restore(checkpoint.part(source.part()));
        }
    }
}
