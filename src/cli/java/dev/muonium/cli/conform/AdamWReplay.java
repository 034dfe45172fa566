package dev.muonium.cli.conform;

import dev.muonium.device.Device;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.StateFormat;
import java.util.ArrayList;
import java.util.List;

/** Repeats the steps of a recorded AdamW and compares weights and both moments with those of the recording. */
record AdamWReplay(Recording recording) implements Replay {
    private static final double FP32 = 1e-5;

    /** What the dynamic maps may cost; v has the square of m's range, and stands in the denominator. */
    private static final double INT8_WEIGHTS = 0.1;

    private static final double INT8_MOMENTS = 5e-2;

    @Override
    public List<Check> run(Device device) {
        int steps = recording.count("steps");
        int n = recording.length("weight_0");
        float[] start = recording.floats("weight_0", n);
        double[] from = recording.doubles("weight_0", n);
        float[] gradients = recording.floats("gradients", steps, n);
        List<Check> checks = new ArrayList<>();
        for (StateFormat format : List.of(StateFormat.FP32, StateFormat.INT8)) {
            boolean exact = format == StateFormat.FP32;
            String way = exact ? "fp32 state" : "int8 state";
            Trajectory.Result ours = Trajectory.ofVector(device, adamW().state(format), n, start, gradients, steps);
            checks.add(new Check(
                    way,
                    "weights",
                    RelativeError.ofDistanceMoved(ours.weights(), recording.doubles("weight_" + steps, n), from),
                    exact ? FP32 : INT8_WEIGHTS));
            for (String moment : List.of("exp_avg", "exp_avg_sq")) {
                checks.add(new Check(
                        way,
                        moment,
                        RelativeError.of(ours.state(moment), recording.doubles(moment + "_" + steps, n)),
                        exact ? FP32 : INT8_MOMENTS));
            }
        }
        return checks;
    }

    private AdamW adamW() {
        try {
            return AdamW.defaults()
                    .learningRate(recording.number("lr"))
                    .betas(recording.number("beta1"), recording.number("beta2"))
                    .epsilon(recording.number("eps"))
                    .weightDecay(recording.number("weight_decay"));
        } catch (IllegalArgumentException e) {
            throw recording.mistake("has settings that AdamW refuses: " + e.getMessage());
        }
    }
}
