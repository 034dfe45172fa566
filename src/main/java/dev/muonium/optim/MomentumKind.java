package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;

/** What matrices, and blocks over their borders, must have in common for the same launch of their momentum pass. */
record MomentumKind(BlockFormat format, int block, ElementType gradientType, ElementType precision, boolean nesterov) {
    static MomentumKind of(Device device, MuonSlot slot) {
        return new MomentumKind(
                slot.momentum.format(),
                slot.momentum.block(),
                slot.parameter.gradientType(),
                slot.newtonSchulz.precisionOn(device),
                slot.spec.nesterov());
    }
}
