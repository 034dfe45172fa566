package dev.muonium.jmh.pytorch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;

/** Trains a model that begins with the same weights, on the same batches, with one optimizer. */
final class TrainingRun {
    private static final long SEED = 1;
    private static final int HELD_OUT_BATCHES = 16;
    private static final int MEMORY_SAMPLES = 4;

    private TrainingRun() {}

    /**
     * What came of it.
     *
     * @param loss nats per held-out byte
     * @param stateBytes of the optimizer
     * @param stepMillis median of the optimizer's step alone
     * @param otherMillis median of forward and backward
     * @param heap native bytes in use, without gradients and activations: after the first step, and after each quarter
     * @param inPlace after how many steps the memory that was used was found to be the module's own
     */
    record Result(
            String name,
            double loss,
            long stateBytes,
            double stepMillis,
            double otherMillis,
            List<Long> heap,
            String inPlace) {}

    static Result run(String name, ByteText text, int steps, int batch, Function<ByteMlp, Stepper> optimizer) {
        ByteMlp model = new ByteMlp(SEED);
        double[] stepMillis = new double[steps];
        double[] otherMillis = new double[steps];
        List<Long> heap = new ArrayList<>();
        int inPlace = 0;
        try (Stepper stepper = optimizer.apply(model)) {
            for (int step = 0; step < steps; step++) {
                long begin = System.nanoTime();
                try (PointerScope scope = new PointerScope()) {
                    model.loss(text.training(step, batch)).backward();
                }
                long between = System.nanoTime();
                stepper.step();
                long end = System.nanoTime();
                otherMillis[step] = (between - begin) / 1e6;
                stepMillis[step] = (end - between) / 1e6;
                inPlace += stepper instanceof Muonium muonium && muonium.isInPlace() ? 1 : 0;
                stepper.zeroGrad();
                if (step == 0 || (step + 1) % (steps / MEMORY_SAMPLES) == 0) {
                    heap.add(NativeHeap.bytesInUse());
                }
            }
            double loss = heldOut(model, text, batch);
            return new Result(
                    name,
                    loss,
                    stepper.stateBytes(),
                    median(stepMillis),
                    median(otherMillis),
                    heap,
                    stepper instanceof Muonium ? inPlace + " of " + steps : "");
        } finally {
            model.close();
        }
    }

    static double heldOut(ByteMlp model, ByteText text, int batch) {
        double sum = 0;
        for (int index = 0; index < HELD_OUT_BATCHES; index++) {
            try (PointerScope scope = new PointerScope();
                    NoGradGuard noGradient = new NoGradGuard()) {
                sum += model.loss(text.heldOut(index, HELD_OUT_BATCHES, batch)).item_float();
            }
        }
        return sum / HELD_OUT_BATCHES;
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
