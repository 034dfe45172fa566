import dev.muonium.device.Device;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.StateFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;

/**
 * A model written by hand in plain Java, trained by Muonium: {@code y = W2·tanh(W1·x + b1) + b2}, forward and backward as loops over off-heap memory. It learns
 * the function of a teacher, a network of the same form with weights that it is not shown.
 */
public final class HandWrittenMlp {
    static final int INPUTS = 32;
    static final int HIDDEN = 128;
    static final int OUTPUTS = 16;
    static final int BATCH = 64;

    private final Weights w1;
    private final Weights b1;
    private final Weights w2;
    private final Weights b2;
    private final float[] hidden = new float[HIDDEN];
    private final float[] hiddenGradient = new float[HIDDEN];

    /** An array of weights and its gradient. */
    record Weights(MemorySegment value, MemorySegment gradient) {
        static Weights random(Arena arena, long count, double deviation, Random random) {
            long bytes = count * Float.BYTES;
            Weights weights = new Weights(arena.allocate(bytes, 64), arena.allocate(bytes, 64));
            for (long i = 0; i < count; i++) {
                weights.value.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) (deviation * random.nextGaussian()));
            }
            return weights;
        }

        float get(long i) {
            return value.getAtIndex(ValueLayout.JAVA_FLOAT, i);
        }

        void addGradient(long i, float more) {
            gradient.setAtIndex(ValueLayout.JAVA_FLOAT, i, gradient.getAtIndex(ValueLayout.JAVA_FLOAT, i) + more);
        }
    }

    HandWrittenMlp(Arena arena, Random random) {
        w1 = Weights.random(arena, (long) HIDDEN * INPUTS, 1 / Math.sqrt(INPUTS), random);
        b1 = Weights.random(arena, HIDDEN, 0.1, random);
        w2 = Weights.random(arena, (long) OUTPUTS * HIDDEN, 1 / Math.sqrt(HIDDEN), random);
        b2 = Weights.random(arena, OUTPUTS, 0.1, random);
    }

    /** Hands weights and gradients over where they are: nothing is copied. */
    void register(Optimizer optimizer) {
        optimizer.add(Parameter.matrix("w1", w1.value, w1.gradient, HIDDEN, INPUTS));
        optimizer.add(Parameter.vector("b1", b1.value, b1.gradient, HIDDEN));
        optimizer.add(Parameter.matrix("w2", w2.value, w2.gradient, OUTPUTS, HIDDEN));
        optimizer.add(Parameter.vector("b2", b2.value, b2.gradient, OUTPUTS));
    }

    void zeroGradients() {
        for (Weights weights : new Weights[] {w1, b1, w2, b2}) {
            weights.gradient.fill((byte) 0);
        }
    }

    void forward(float[] x, float[] y) {
        for (int h = 0; h < HIDDEN; h++) {
            float sum = b1.get(h);
            for (int i = 0; i < INPUTS; i++) {
                sum += w1.get((long) h * INPUTS + i) * x[i];
            }
            hidden[h] = (float) Math.tanh(sum);
        }
        for (int o = 0; o < OUTPUTS; o++) {
            float sum = b2.get(o);
            for (int h = 0; h < HIDDEN; h++) {
                sum += w2.get((long) o * HIDDEN + h) * hidden[h];
            }
            y[o] = sum;
        }
    }

    /** Adds the gradients of the example that went forward last, from that of its loss by its outputs. */
    void backward(float[] x, float[] outputGradient) {
        java.util.Arrays.fill(hiddenGradient, 0);
        for (int o = 0; o < OUTPUTS; o++) {
            b2.addGradient(o, outputGradient[o]);
            for (int h = 0; h < HIDDEN; h++) {
                long i = (long) o * HIDDEN + h;
                w2.addGradient(i, outputGradient[o] * hidden[h]);
                hiddenGradient[h] += outputGradient[o] * w2.get(i);
            }
        }
        for (int h = 0; h < HIDDEN; h++) {
            float gradient = hiddenGradient[h] * (1 - hidden[h] * hidden[h]);
            b1.addGradient(h, gradient);
            for (int i = 0; i < INPUTS; i++) {
                w1.addGradient((long) h * INPUTS + i, gradient * x[i]);
            }
        }
    }

    /** Trains, and returns the mean squared error of each step. */
    public static double[] train(int steps) {
        double[] losses = new double[steps];
        Random random = new Random(1);
        try (Arena arena = Arena.ofShared();
                Device device = Device.cpu();
                Optimizer optimizer = Optimizer.builder(device)
                        .group(Muon.defaults().learningRate(0.01).state(StateFormat.INT8))
                        .group(AdamW.defaults().learningRate(3e-3).state(StateFormat.INT8))
                        .build()) {
            HandWrittenMlp teacher = new HandWrittenMlp(arena, random);
            HandWrittenMlp model = new HandWrittenMlp(arena, random);
            model.register(optimizer);
            float[] x = new float[INPUTS];
            float[] y = new float[OUTPUTS];
            float[] target = new float[OUTPUTS];
            for (int step = 0; step < steps; step++) {
                model.zeroGradients();
                for (int example = 0; example < BATCH; example++) {
                    for (int i = 0; i < INPUTS; i++) {
                        x[i] = (float) random.nextGaussian();
                    }
                    teacher.forward(x, target);
                    model.forward(x, y);
                    for (int o = 0; o < OUTPUTS; o++) {
                        float error = y[o] - target[o];
                        losses[step] += error * error / (OUTPUTS * BATCH);
                        y[o] = 2 * error / OUTPUTS; // now its gradient
                    }
                    model.backward(x, y);
                }
                optimizer.step(1.0 / BATCH);
            }
            System.out.println(optimizer.describe());
        }
        return losses;
    }

    public static void main(String[] args) {
        double[] losses = train(300);
        for (int step = 0; step < losses.length; step += 50) {
            System.out.printf("step %3d: mean squared error %.4f%n", step, losses[step]);
        }
        System.out.printf("step %3d: mean squared error %.4f%n", losses.length - 1, losses[losses.length - 1]);
    }
}
