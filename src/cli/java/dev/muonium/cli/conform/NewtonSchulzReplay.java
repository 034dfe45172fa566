package dev.muonium.cli.conform;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.ortho.PolarFactor;
import dev.muonium.ortho.Way;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Runs the Newton-Schulz iteration on recorded inputs and compares with the recording in FP64. */
record NewtonSchulzReplay(Recording recording) implements Replay {
    static final String RESULT = ".keller5_f64";
    private static final String INPUT = ".input";
    private static final double PLAIN = 1e-5;
    private static final double GRAM = 2e-4;

    @Override
    public List<Check> run(Device device) {
        int rows = recording.count("rows");
        int cols = recording.count("cols");
        NewtonSchulz fp32 = NewtonSchulz.defaults()
                .schedule(MuonReplay.schedule(recording, recording.count("steps")))
                .precision(ElementType.F32);
        List<Check> checks = new ArrayList<>();
        for (String name : recording.names()) {
            if (name.endsWith(RESULT)) {
                String input = name.substring(0, name.length() - RESULT.length());
                double[] reference = recording.doubles(name, rows, cols);
                float[] u = recording.floats(input + INPUT, rows, cols);
                for (Map.Entry<Way, Double> way : tolerances()) {
                    double[] ours = apply(device, fp32.way(way.getKey()), rows, cols, u);
                    checks.add(new Check(
                            "fp32 " + way.getKey(), input, RelativeError.of(ours, reference), way.getValue()));
                }
            }
        }
        return checks;
    }

    private static List<Map.Entry<Way, Double>> tolerances() {
        return List.of(Map.entry(Way.plain(), PLAIN), Map.entry(Way.symmetric(), PLAIN), Map.entry(Way.gram(), GRAM));
    }

    private static double[] apply(Device device, NewtonSchulz spec, int rows, int cols, float[] u) {
        try (Tensor x = device.allocate(Purpose.DATA, "input", ElementType.F32, Shape.of(rows, cols));
                PolarFactor polar = new PolarFactor(spec, device, rows, cols)) {
            x.copyFrom(u);
            polar.apply(x.segment(), ElementType.F32, x.segment(), ElementType.F32);
            return Trajectory.doubles(x.toFloatArray());
        }
    }
}
