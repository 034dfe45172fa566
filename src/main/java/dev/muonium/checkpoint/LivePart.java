package dev.muonium.checkpoint;

import java.util.List;
import java.util.Map;

/** What goes into one file of a checkpoint, while it is in use; see {@link CheckpointPart}. */
record LivePart(String name, Map<String, String> metadata, List<LiveTensor> tensors) {
    boolean isOnHost() {
        return tensors.stream().allMatch(LiveTensor::isOnHost);
    }

    CheckpointPart inPlace() {
        return new CheckpointPart(
                name, metadata, tensors.stream().map(LiveTensor::inPlace).toList());
    }
}
