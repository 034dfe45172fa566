package dev.muonium.optim;

import dev.muonium.device.Device;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A step by tasks for a device's workers: one sweep over the gradients, then Muon, then AdamW. */
final class TaskStep implements StepPlan {
    private final List<Slot> slots;
    private final WeightRanges weights;
    private final GradientSweep sweep;
    private final MuonPass muon;
    private final AdamWPass adamW;

    TaskStep(Device device, List<Slot> active, long workspaceCap, @Nullable StateFile file) {
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
        this.adamW = new AdamWPass(device, List.copyOf(adamWSlots), file);
        this.muon = new MuonPass(device, List.copyOf(muonSlots), workspaceCap, file);
    }

    @Override
    public List<Slot> slots() {
        return slots;
    }

    @Override
    public WeightRanges weights() {
        return weights;
    }

    /** Its tasks ask the parameters for everything that may change. */
    @Override
    public boolean isCurrent() {
        return true;
    }

    @Override
    public Decision run(double gradientScale, double clipNorm, long seed) {
        sweep.run();
        double norm = sweep.norm() * gradientScale;
        int nonFinite = sweep.firstNonFinite(gradientScale);
        if (nonFinite >= 0) {
            return new Decision(norm, 1, nonFinite);
        }
        double clip = Math.min(1, clipNorm / (norm + CLIP_EPSILON));
        double scale = gradientScale * clip;
        int fallbacks = muon.run(Ranges.requireFactor(SCALE_AFTER_CLIPPING, scale), seed);
        adamW.run(scale, seed);
        return new Decision(norm, clip, -1, fallbacks);
    }

    @Override
    public long workspaceBytes() {
        return muon.workspaceBytes();
    }

    @Override
    public long waitedNanos() {
        return 0;
    }

    @Override
    public void close() {
        muon.close();
    }
}
