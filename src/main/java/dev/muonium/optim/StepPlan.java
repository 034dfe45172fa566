package dev.muonium.optim;

import dev.muonium.device.Device;
import java.util.ArrayList;
import java.util.List;

/** Everything a step needs for one set of parameters; made anew when parameters are added, removed, frozen or thawed. */
final class StepPlan implements AutoCloseable {
    final List<Slot> slots;
    final WeightRanges weights;
    final GradientSweep sweep;
    final MuonPass muon;
    final AdamWPass adamW;

    StepPlan(Device device, List<Slot> active, long workspaceCap) {
        List<MuonSlot> muonSlots = new ArrayList<>();
        List<AdamWSlot> adamWSlots = new ArrayList<>();
        for (Slot slot : active) {
            switch (slot) {
                case MuonSlot muonSlot -> muonSlots.add(muonSlot);
                case AdamWSlot adamWSlot -> adamWSlots.add(adamWSlot);
            }
        }
        this.slots = List.copyOf(active);
        this.weights = new WeightRanges(slots);
        this.sweep = new GradientSweep(device, slots);
        this.adamW = new AdamWPass(device, List.copyOf(adamWSlots));
        this.muon = new MuonPass(device, List.copyOf(muonSlots), workspaceCap);
    }

    @Override
    public void close() {
        muon.close();
    }
}
