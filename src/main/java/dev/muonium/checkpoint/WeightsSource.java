package dev.muonium.checkpoint;

import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Tensors under names, in a part of a checkpoint. */
final class WeightsSource implements StateSource {
    private final DeviceMemory memory;
    private final String part;
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();

    WeightsSource(DeviceMemory memory, String part) {
        this.memory = memory;
        this.part = part;
    }

    void add(String name, Tensor tensor) {
        if (tensors.putIfAbsent(name, tensor) != null) {
            throw new IllegalArgumentException("two tensors of a checkpoint are called '" + name + "'");
        }
    }

    @Override
    public String part() {
        return part;
    }

    @Override
    public List<LiveTensor> tensors() {
        List<LiveTensor> live = new ArrayList<>();
        tensors.forEach((name, tensor) ->
                live.add(new LiveTensor(name, storedType(tensor), extents(tensor), tensor.segment())));
        return live;
    }

    private static StoredType storedType(Tensor tensor) {
        return StoredType.of(tensor.type());
    }

    private static List<Long> extents(Tensor tensor) {
        List<Long> extents = new ArrayList<>();
        for (int axis = 0; axis < tensor.shape().rank(); axis++) {
            extents.add(tensor.shape().extent(axis));
        }
        return extents;
    }

    @Override
    public Map<String, String> metadata() {
        return Map.of();
    }

    @Override
    public void check(Safetensors file) {
        tensors.forEach((name, tensor) -> {
            StoredTensor stored = file.find(name)
                    .orElseThrow(() -> new CheckpointException("'" + file.file() + "' has no tensor '" + name + "'"));
            if (stored.type() != storedType(tensor) || !stored.shape().equals(extents(tensor))) {
                throw new CheckpointException("the tensor '" + name + "' of '" + file.file() + "' is " + stored.type()
                        + " " + stored.shape() + ", and " + storedType(tensor) + " " + extents(tensor) + " here");
            }
        });
        for (String name : file.names()) {
            if (!tensors.containsKey(name)) {
                throw new CheckpointException(
                        "'" + file.file() + "' has a tensor '" + name + "' that is not known here");
            }
        }
    }

    @Override
    public void restore(Safetensors file) {
        tensors.forEach(
                (name, tensor) -> memory.copyIn(file.tensor(name).data(), 0, tensor.segment(), 0, tensor.byteSize()));
    }
}
