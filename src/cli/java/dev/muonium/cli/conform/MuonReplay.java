package dev.muonium.cli.conform;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.optim.LearningRateAdjustment;
import dev.muonium.optim.Muon;
import dev.muonium.optim.StateFormat;
import dev.muonium.ortho.CoefficientSchedule;
import dev.muonium.ortho.Coefficients;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.ortho.Way;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/**
 * Repeats the steps of a recorded Muon and compares weights and momentum with those of the recording in FP64. With bf16 the
 * reference's own error in bf16 is the yardstick: ours may be twice as large.
 */
record MuonReplay(Recording recording) implements Replay {
    /** What is allowed in FP32, relative to the distance moved. */
    private static final double PLAIN = 1e-5;

    private static final double GRAM = 2e-4;

    /** The momentum meets no matrix product, so every way has the rounding of a few additions only. */
    private static final double MOMENTUM = 1e-5;

    /**
     * What 8 bits may cost. A code is off by half a step of absmax/127 at most, which with blocks of 128 normal values is
     * about 1 % of their norm; what Newton-Schulz makes of it depends on the small singular values.
     */
    private static final double INT8_MOMENTUM = 2e-2;

    private static final double INT8_WEIGHTS = 0.15;

    private record Variant(
            String name, NewtonSchulz newtonSchulz, StateFormat state, double weights, double momentum) {}

    @Override
    public List<Check> run(Device device) {
        int rows = recording.count("rows");
        int cols = recording.count("cols");
        int steps = recording.count("steps");
        float[] start = recording.floats("weight_0", rows, cols);
        float[] gradients = recording.floats("gradients", steps, rows, cols);
        double[] from = recording.doubles("weight_0", rows, cols);
        double[] reference = recording.doubles("weight_" + steps + "_f64", rows, cols);
        double[] referenceMomentum = recording.doubles("momentum_" + steps + "_f64", rows, cols);
        double[] referenceBf16 = recording.doubles("weight_" + steps + "_bf16", rows, cols);
        double bf16 = 2 * RelativeError.ofDistanceMoved(referenceBf16, reference, from);

        List<Check> checks = new ArrayList<>();
        for (Variant variant : variants(device, bf16)) {
            Muon muon = muon().newtonSchulz(variant.newtonSchulz()).state(variant.state());
            Trajectory.Result ours = Trajectory.ofMatrix(device, muon, rows, cols, start, gradients, steps);
            checks.add(new Check(
                    variant.name(),
                    "weights",
                    RelativeError.ofDistanceMoved(ours.weights(), reference, from),
                    variant.weights()));
            checks.add(new Check(
                    variant.name(),
                    "momentum",
                    RelativeError.of(ours.state("momentum_buffer"), referenceMomentum),
                    variant.momentum()));
        }
        return checks;
    }

    private List<Variant> variants(Device device, double bf16) {
        NewtonSchulz fp32 = NewtonSchulz.defaults().schedule(schedule()).precision(ElementType.F32);
        List<Variant> variants = new ArrayList<>();
        variants.add(new Variant("fp32 plain", fp32.way(Way.plain()), StateFormat.FP32, PLAIN, MOMENTUM));
        variants.add(new Variant("fp32 symmetric", fp32.way(Way.symmetric()), StateFormat.FP32, PLAIN, MOMENTUM));
        variants.add(new Variant("fp32 gram/2", fp32.way(Way.gram()), StateFormat.FP32, GRAM, MOMENTUM));
        if (device.isFast(ElementType.BF16)) {
            NewtonSchulz half = NewtonSchulz.defaults().schedule(schedule()).precision(ElementType.BF16);
            variants.add(new Variant("bf16 plain", half.way(Way.plain()), StateFormat.FP32, bf16, MOMENTUM));
            variants.add(new Variant("bf16 as chosen", half, StateFormat.FP32, bf16, MOMENTUM));
        }
        variants.add(new Variant(
                "fp32 plain, int8 state", fp32.way(Way.plain()), StateFormat.INT8, INT8_WEIGHTS, INT8_MOMENTUM));
        return variants;
    }

    private Muon muon() {
        LearningRateAdjustment adjustment;
        try {
            adjustment =
                    LearningRateAdjustment.valueOf(recording.setting("adjust").toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException e) {
            throw recording.mistake("has 'adjust' = '" + recording.setting("adjust")
                    + "' in its __metadata__; original, match_rms_adamw, spectral or none is expected");
        }
        try {
            return Muon.defaults()
                    .learningRate(recording.number("lr"))
                    .weightDecay(recording.number("weight_decay"))
                    .momentum(recording.number("momentum"))
                    .nesterov(recording.setting("nesterov").equalsIgnoreCase("true"))
                    .adjustment(adjustment);
        } catch (IllegalArgumentException e) {
            throw recording.mistake("has settings that Muon refuses: " + e.getMessage());
        }
    }

    private CoefficientSchedule schedule() {
        return schedule(recording, recording.count("ns_steps"));
    }

    /** One polynomial, {@code "a,b,c"}, a number of times. */
    static CoefficientSchedule schedule(Recording recording, int steps) {
        String text = recording.setting("ns_coefficients");
        String[] parts = text.split(",", -1);
        try {
            if (parts.length == 3) {
                Coefficients coefficients = new Coefficients(
                        Double.parseDouble(parts[0]), Double.parseDouble(parts[1]), Double.parseDouble(parts[2]));
                return CoefficientSchedule.of("recorded", Collections.nCopies(steps, coefficients));
            }
        } catch (IllegalArgumentException e) {
            throw recording.mistake("has 'ns_coefficients' = '" + text + "' that cannot be used: " + e.getMessage());
        }
        throw recording.mistake(
                "has 'ns_coefficients' = '" + text + "' in its __metadata__; three numbers are expected");
    }
}
