package dev.muonium.djl;

import ai.djl.training.tracker.Tracker;
import dev.muonium.device.Device;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.NonFinitePolicy;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.StatePlacement;
import org.jspecify.annotations.Nullable;

/** What was asked of a {@link MuoniumOptimizer}, as it was when it was built. */
record Settings(
        Muon muon,
        AdamW adamW,
        @Nullable Tracker muonRate,
        @Nullable Tracker adamWRate,
        int firstUpdate,
        double clipNorm,
        NonFinitePolicy nonFinite,
        long workspaceCap,
        StatePlacement placement,
        @Nullable Device device) {
    Settings {
        if (muon.name().equals(adamW.name())) {
            throw new IllegalArgumentException(
                    "both groups are called '" + muon.name() + "'; give one of them another name");
        }
        if (!(clipNorm > 0)) {
            throw new IllegalArgumentException(
                    "the norm to clip gradients to is " + clipNorm + "; it must be positive");
        }
        if (firstUpdate < 0) {
            throw new IllegalArgumentException(
                    "the number of updates to begin with is " + firstUpdate + "; it must not be negative");
        }
    }

    /** An optimizer without parameters. */
    Optimizer optimizer(Device on) {
        Optimizer.Builder builder = Optimizer.builder(on)
                .group(muon)
                .group(adamW)
                .nonFinite(nonFinite)
                .workspaceCap(workspaceCap)
                .statePlacement(placement);
        return (clipNorm == Double.POSITIVE_INFINITY ? builder : builder.clipGlobalNorm(clipNorm)).build();
    }

    /** Sets what the trackers say for the coming step. */
    void setLearningRates(Optimizer optimizer) {
        int number = Math.toIntExact(firstUpdate + optimizer.steps() + 1);
        if (muonRate != null) {
            optimizer.group(muon.name()).learningRate(muonRate.getNewValue(number));
        }
        if (adamWRate != null) {
            optimizer.group(adamW.name()).learningRate(adamWRate.getNewValue(number));
        }
    }
}
