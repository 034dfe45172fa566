package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.memory.Bf16;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;

/** A GPT with random weights that bf16 holds exactly, and a batch: the same for every device, precision and grain. */
final class ModelRun implements AutoCloseable {
    static final int BATCH = 3;

    final Device device;
    final GptConfig config;
    final Gpt gpt;
    final double[][] weights;
    final int[][] tokenRows;
    final int[][] targetRows;
    final MemorySegment tokens;
    final MemorySegment targets;
    private final Arena arena = Arena.ofShared();

    ModelRun(Device device, GptConfig config, Precision precision, Grain grain) {
        this(device, config, GptOptions.of(precision), grain);
    }

    ModelRun(Device device, GptConfig config, GptOptions options, Grain grain) {
        this.device = device;
        this.config = config;
        this.gpt = new Gpt(device, config, BATCH, options, 7, grain);
        Random random = new Random(3);
        this.weights = new double[gpt.parameters().size()][];
        for (int p = 0; p < weights.length; p++) {
            GptParameter parameter = gpt.parameters().get(p);
            float[] values = new float[Math.toIntExact(parameter.weights().elements())];
            weights[p] = new double[values.length];
            for (int i = 0; i < values.length; i++) {
                values[i] = Bf16.toFloat(
                        Bf16.fromFloat((float) (1.2 * random.nextGaussian() / Math.sqrt(config.dModel()))));
                weights[p][i] = values[i];
            }
            parameter.weights().copyFrom(values);
        }
        this.tokenRows = rows(random);
        this.targetRows = rows(random);
        this.tokens = store(tokenRows);
        this.targets = store(targetRows);
    }

    private int[][] rows(Random random) {
        int[][] rows = new int[BATCH][config.context()];
        for (int[] row : rows) {
            for (int t = 0; t < row.length; t++) {
                row[t] = random.nextInt(config.vocab() - 1); // one token never occurs
            }
        }
        return rows;
    }

    private MemorySegment store(int[][] rows) {
        MemorySegment segment = arena.allocate(ValueLayout.JAVA_INT, (long) BATCH * config.context());
        for (int b = 0; b < BATCH; b++) {
            MemorySegment.copy(rows[b], 0, segment, ValueLayout.JAVA_INT, 4L * b * config.context(), config.context());
        }
        return segment;
    }

    double loss() {
        return gpt.loss(tokens, targets);
    }

    double lossAndGradients(double scale) {
        return gpt.lossAndGradients(tokens, targets, scale);
    }

    List<float[]> gradients() {
        return gpt.parameters().stream().map(p -> p.gradient().toFloatArray()).toList();
    }

    double referenceLoss() {
        return new ReferenceGpt(config).loss(weights, tokenRows, targetRows);
    }

    /** The central difference of the reference's loss in one weight. */
    double slope(int parameter, int element) {
        double step = 1e-5;
        double at = weights[parameter][element];
        weights[parameter][element] = at + step;
        double above = referenceLoss();
        weights[parameter][element] = at - step;
        double below = referenceLoss();
        weights[parameter][element] = at;
        return (above - below) / (2 * step);
    }

    @Override
    public void close() {
        gpt.close();
        arena.close();
    }
}
