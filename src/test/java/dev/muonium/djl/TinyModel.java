package dev.muonium.djl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import ai.djl.Device;
import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.GradientCollector;
import ai.djl.training.Trainer;
import ai.djl.training.loss.Loss;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.util.Pair;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;

/** A classifier of three layers in DJL and its trainer's loop as DJL's own documentation has it, with data and weights from a seed. */
final class TinyModel implements AutoCloseable {
    static final int INPUTS = 24;
    static final int HIDDEN = 40;
    static final int CLASSES = 10;
    static final int BATCH = 16;

    final Model model = Model.newInstance("tiny", Device.cpu(), "PyTorch");
    private final Loss loss = Loss.softmaxCrossEntropyLoss();

    TinyModel() {
        this(block());
    }

    TinyModel(Block block) {
        model.setBlock(block);
    }

    static SequentialBlock block() {
        return new SequentialBlock()
                .add(Linear.builder().setUnits(HIDDEN).build())
                .add(Activation.reluBlock())
                .add(Linear.builder().setUnits(HIDDEN).build())
                .add(Activation.reluBlock())
                .add(Linear.builder().setUnits(CLASSES).build());
    }

    Block block0() {
        return model.getBlock();
    }

    NDManager manager() {
        return model.getNDManager();
    }

    /** A trainer whose weights are those of the seed. */
    Trainer trainer(Optimizer optimizer) {
        Trainer trainer = model.newTrainer(new DefaultTrainingConfig(loss)
                .optDevices(new Device[] {Device.cpu()})
                .optOptimizer(optimizer));
        trainer.initialize(new Shape(BATCH, INPUTS));
        return trainer;
    }

    /** Sets weights that depend on the seed and the place in the block alone. */
    void setWeights(long seed) {
        Random random = new Random(seed);
        for (Parameter parameter : model.getBlock().getParameters().values()) {
            NDArray array = parameter.getArray();
            float[] values = new float[Math.toIntExact(array.size())];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) random.nextGaussian() * 0.2f;
            }
            MemorySegment.copy(values, 0, memory(array), ValueLayout.JAVA_FLOAT, 0, values.length);
        }
    }

    /** Sets weights that {@link #weights} returned. */
    void setWeights(Map<String, float[]> weights) {
        weights.forEach((name, values) -> MemorySegment.copy(
                values, 0, memory(parameter(name).getArray()), ValueLayout.JAVA_FLOAT, 0, values.length));
    }

    /** Forward and backward of one batch, without a step. */
    float backward(Trainer trainer, long batch) {
        Random random = new Random(1000 + batch);
        float[] inputs = new float[BATCH * INPUTS];
        int[] labels = new int[BATCH];
        for (int i = 0; i < BATCH; i++) {
            labels[i] = random.nextInt(CLASSES);
            for (int j = 0; j < INPUTS; j++) {
                inputs[i * INPUTS + j] = (float) random.nextGaussian() + (j % CLASSES == labels[i] ? 2 : 0);
            }
        }
        try (NDManager scope = trainer.getManager().newSubManager()) {
            NDArray data = scope.create(inputs, new Shape(BATCH, INPUTS));
            NDArray label = scope.create(labels);
            try (GradientCollector collector = trainer.newGradientCollector()) {
                NDList predictions = trainer.forward(new NDList(data));
                NDArray value = loss.evaluate(new NDList(label), predictions);
                collector.backward(value);
                float result = value.getFloat();
                predictions.close();
                value.close();
                return result;
            }
        }
    }

    /** Batches {@code from} to {@code to - 1}, as an app trains. */
    float train(Trainer trainer, int from, int to) {
        float last = Float.NaN;
        for (int batch = from; batch < to; batch++) {
            last = backward(trainer, batch);
            trainer.step();
        }
        return last;
    }

    /** All weights by name, copied. */
    Map<String, float[]> weights() {
        Map<String, float[]> weights = new LinkedHashMap<>();
        for (Pair<String, Parameter> pair : model.getBlock().getParameters()) {
            weights.put(pair.getKey(), pair.getValue().getArray().toFloatArray());
        }
        return weights;
    }

    /** Copies all gradients to those of the parameters of the same names. */
    void copyGradients(Map<String, dev.muonium.optim.Parameter> copies) {
        for (Pair<String, Parameter> pair : model.getBlock().getParameters()) {
            try (NDArray gradient = pair.getValue().getArray().getGradient()) {
                copies.get(pair.getKey()).gradient().copyFrom(memory(gradient));
            }
        }
    }

    /** All weights are those of the parameters of the same names, to the bit. */
    void assertWeights(Map<String, dev.muonium.optim.Parameter> copies, int step) {
        weights()
                .forEach((name, values) -> assertArrayEquals(
                        copies.get(name).weights().toArray(ValueLayout.JAVA_FLOAT),
                        values,
                        name + " after step " + step));
    }

    Parameter parameter(String name) {
        return model.getBlock().getParameters().get(name);
    }

    /** The elements of a contiguous array by DJL's own means, which alias it. */
    static MemorySegment memory(NDArray array) {
        return MemorySegment.ofBuffer(array.toByteBuffer(true));
    }

    @Override
    public void close() {
        model.close();
    }
}
