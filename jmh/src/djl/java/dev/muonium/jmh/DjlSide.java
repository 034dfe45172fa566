package dev.muonium.jmh;

import ai.djl.Device;
import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.Block;
import ai.djl.nn.Blocks;
import ai.djl.nn.Parameter;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import ai.djl.nn.transformer.IdEmbedding;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.GradientCollector;
import ai.djl.training.Trainer;
import ai.djl.training.loss.Loss;
import ai.djl.training.optimizer.Optimizer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import java.util.function.Function;

/** One model with one optimizer, trained by DJL's own trainer. */
final class DjlSide implements AutoCloseable {
    private static final int EMBEDDING = 64;

    private final String name;
    private final int context;
    private final Model model;
    private final Loss loss = Loss.softmaxCrossEntropyLoss();
    private final Optimizer optimizer;
    private final Trainer trainer;
    private final long[] stepNanos;
    private int steps;

    DjlSide(String name, int context, int hidden, int layers, int steps, Function<Block, Optimizer> optimizer) {
        this.name = name;
        this.context = context;
        this.model = Model.newInstance(name, Device.cpu(), "PyTorch");
        Block block = block(hidden, layers);
        model.setBlock(block);
        this.optimizer = optimizer.apply(block);
        this.trainer = model.newTrainer(new DefaultTrainingConfig(loss)
                .optDevices(new Device[] {Device.cpu()})
                .optOptimizer(this.optimizer));
        trainer.initialize(new Shape(1, context));
        setWeights(block);
        this.stepNanos = new long[steps];
    }

    private static Block block(int hidden, int layers) {
        SequentialBlock block = new SequentialBlock()
                .add(new IdEmbedding.Builder()
                        .setDictionarySize(256)
                        .setEmbeddingSize(EMBEDDING)
                        .build())
                .add(Blocks.batchFlattenBlock());
        for (int i = 0; i < layers; i++) {
            block.add(Linear.builder().setUnits(hidden).build()).add(Activation.reluBlock());
        }
        return block.add(Linear.builder().setUnits(256).build());
    }

    /** He's initialization from one seed, so that every side begins with the same weights. */
    private static void setWeights(Block block) {
        Random random = new Random(1);
        for (Parameter parameter : block.getParameters().values()) {
            Shape shape = parameter.getShape();
            double scale = shape.dimension() == 2 ? Math.sqrt(2.0 / shape.get(1)) : 0;
            float[] values = new float[Math.toIntExact(shape.size())];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) (scale * random.nextGaussian());
            }
            MemorySegment.copy(
                    values,
                    0,
                    MemorySegment.ofBuffer(parameter.getArray().toByteBuffer(true)),
                    ValueLayout.JAVA_FLOAT,
                    0,
                    values.length);
        }
    }

    String name() {
        return name;
    }

    Block modelBlock() {
        return model.getBlock();
    }

    Optimizer optimizer() {
        return optimizer;
    }

    long parameters() {
        return modelBlock().getParameters().values().stream()
                .mapToLong(parameter -> parameter.getShape().size())
                .sum();
    }

    /** A batch, forward and backward, and a step of the optimizer, which alone is timed. */
    void train(DjlText.Batch batch) {
        try (NDManager scope = trainer.getManager().newSubManager()) {
            NDArray data = scope.create(batch.windows(), new Shape(batch.next().length, context));
            NDArray labels = scope.create(batch.next());
            try (GradientCollector collector = trainer.newGradientCollector()) {
                NDList predictions = trainer.forward(new NDList(data));
                NDArray value = loss.evaluate(new NDList(labels), predictions);
                collector.backward(value);
                predictions.close();
                value.close();
            }
        }
        long begin = System.nanoTime();
        trainer.step();
        stepNanos[steps++] = System.nanoTime() - begin;
    }

    /** The mean loss over batches, in nats per byte. */
    double loss(Iterable<DjlText.Batch> batches) {
        double sum = 0;
        int count = 0;
        for (DjlText.Batch batch : batches) {
            try (NDManager scope = trainer.getManager().newSubManager()) {
                NDArray data = scope.create(batch.windows(), new Shape(batch.next().length, context));
                NDList predictions = trainer.evaluate(new NDList(data));
                NDArray value = loss.evaluate(new NDList(scope.create(batch.next())), predictions);
                sum += value.getFloat();
                count++;
                predictions.close();
                value.close();
            }
        }
        return sum / count;
    }

    /** The median of the optimizer's steps in milliseconds, without those of the first tenth. */
    double medianStep() {
        long[] sorted = Arrays.copyOfRange(stepNanos, steps / 10, steps);
        Arrays.sort(sorted);
        return sorted[sorted.length / 2] / 1e6;
    }

    @Override
    public void close() {
        trainer.close();
        if (optimizer instanceof AutoCloseable closeable) {
            try {
                closeable.close();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
        model.close();
    }
}
