package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.device.Task;
import java.util.List;

/** AdamW over all its parameters, in parallel over fixed chunks of all of them. */
final class AdamWPass {
    private final Device device;
    private final List<AdamWSlot> slots;
    private final Chunks chunks;
    private final Task task = this::update;

    AdamWPass(Device device, List<AdamWSlot> slots) {
        this.device = device;
        this.slots = slots;
        this.chunks = Chunks.of(slots);
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
    }
}
