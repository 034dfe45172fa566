package example.consumer;

import dev.muonium.DeviceUnavailableException;
import dev.muonium.device.Device;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.StateFormat;
import dev.muonium.optim.StepReport;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;

/** A few steps of a linear layer's optimizer, and a line about them. Exits with 3 where there is no device. */
public final class Main {
    private static final int ROWS = 96;
    private static final int COLS = 128;
    private static final int STEPS = 3;

    /** INT8 codes, and an FP32 scale for every 128 of them. */
    private static final Map<String, Long> STATE =
            Map.of("muon", ROWS * COLS + 4L * ROWS, "adamw", 2 * (COLS + 4L * COLS / 128));

    private Main() {}

    /** Takes no arguments. */
    public static void main(String[] arguments) {
        try (Device device = Device.cpu()) {
            System.out.println(train(device));
        } catch (DeviceUnavailableException e) {
            System.out.println(e.getMessage());
            System.exit(3);
        }
    }

    private static String train(Device device) {
        try (Arena arena = Arena.ofShared();
                Optimizer optimizer = Optimizer.builder(device)
                        .group(Muon.defaults().learningRate(0.02).state(StateFormat.INT8))
                        .group(AdamW.defaults().learningRate(3e-3).state(StateFormat.INT8))
                        .build()) {
            MemorySegment weights = ones(arena, ROWS * COLS);
            MemorySegment gradient = ones(arena, ROWS * COLS);
            MemorySegment bias = ones(arena, COLS);
            MemorySegment biasGradient = ones(arena, COLS);
            optimizer.add(Parameter.matrix("weights", weights, gradient, ROWS, COLS));
            optimizer.add(Parameter.vector("bias", bias, biasGradient, COLS));
            for (int i = 0; i < STEPS; i++) {
                StepReport report = optimizer.step();
                require(report.taken(), "a step was left out: " + report);
            }
            // Against the gradient, all of them.
            require(largest(weights) < 1, "weights that Muon did not move");
            require(largest(bias) < 1, "a bias that AdamW did not move");
            require(
                    optimizer.stateBytesByOptimizer().equals(STATE),
                    "bytes of state: " + optimizer.stateBytesByOptimizer() + " instead of " + STATE);
            return "trained in " + Main.class.getModule() + " with " + Device.class.getModule() + ": "
                    + optimizer.steps() + " steps, " + optimizer.stateBytes() + " bytes of state";
        }
    }

    private static MemorySegment ones(Arena arena, long length) {
        MemorySegment floats = arena.allocate(4 * length, 64);
        for (long i = 0; i < length; i++) {
            floats.setAtIndex(ValueLayout.JAVA_FLOAT, i, 1f);
        }
        return floats;
    }

    private static float largest(MemorySegment floats) {
        float largest = Float.NEGATIVE_INFINITY;
        for (long i = 0; i < floats.byteSize() / 4; i++) {
            largest = Math.max(largest, floats.getAtIndex(ValueLayout.JAVA_FLOAT, i));
        }
        return largest;
    }

    private static void require(boolean condition, String otherwise) {
        if (!condition) {
            throw new IllegalStateException(otherwise);
        }
    }
}
