package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.device.Task;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** AdamW over all its parameters, in parallel over fixed chunks of all of them. */
final class AdamWPass {
    /** How many chunks ahead of their use state is read from a file. */
    private static final int AHEAD = 32;

    private final Device device;
    private final List<AdamWSlot> slots;
    private final Chunks chunks;
    private final @Nullable StateFile file;
    private final Task task = this::update;

    /** @param file where the state lies, or null for the device's memory */
    AdamWPass(Device device, List<AdamWSlot> slots, @Nullable StateFile file) {
        this.device = device;
        this.slots = slots;
        this.chunks = Chunks.of(slots);
        this.file = file;
    }

    /** All slots were prepared. */
    void run(double gradientScale, long seed) {
        for (int i = 0; i < slots.size(); i++) {
            slots.get(i).setScalars(gradientScale);
            slots.get(i).keyRounding(seed);
        }
        device.workers().run(chunks.count(), task);
    }

    private void update(int chunk, int worker) {
        AdamWSlot slot = slots.get(chunks.array(chunk));
        if (file != null && chunk + AHEAD < chunks.count()) {
            int next = chunk + AHEAD;
            file.readAhead(slots.get(chunks.array(next)).state(), chunks.begin(next), chunks.end(next));
        }
        Parameter parameter = slot.parameter;
        device.kernels()
                .adamW(
                        slot.scalars,
                        slot.spec.block(),
                        parameter.weights(),
                        parameter.weightType(),
                        slot.master(),
                        parameter.gradient(),
                        parameter.gradientType(),
                        slot.m.format(),
                        slot.m.codes(),
                        slot.m.scales(),
                        slot.v.format(),
                        slot.v.codes(),
                        slot.v.scales(),
                        slot.rounding(),
                        chunks.begin(chunk),
                        chunks.end(chunk));
        if (file != null) {
            file.writeBehind(slot.state(), chunks.begin(chunk), chunks.end(chunk));
        }
    }
}
