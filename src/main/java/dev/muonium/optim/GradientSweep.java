package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.device.Task;
import java.util.List;

/**
 * One sweep over all gradients before a step, for their norm and whether they are finite. Sums are in double, in the order of the
 * chunks.
 */
final class GradientSweep {
    private final Device device;
    private final List<Slot> slots;
    private final Chunks chunks;
    private final double[] partial;
    private final double[] sums;
    private final Task task = this::sum;

    GradientSweep(Device device, List<Slot> slots) {
        this.device = device;
        this.slots = slots;
        this.chunks = Chunks.of(slots);
        this.partial = new double[chunks.count()];
        this.sums = new double[slots.size()];
    }

    /** Reads all gradients. */
    void run() {
        device.workers().run(chunks.count(), task);
        for (int i = 0; i < sums.length; i++) {
            double sum = 0;
            for (int chunk = chunks.first(i); chunk < chunks.first(i + 1); chunk++) {
                sum += partial[chunk];
            }
            sums[i] = sum;
        }
    }

    private void sum(int chunk, int worker) {
        Parameter parameter = slots.get(chunks.array(chunk)).parameter;
        partial[chunk] = device.kernels()
                .sumSquares(parameter.gradient(), parameter.gradientType(), chunks.begin(chunk), chunks.end(chunk));
    }

    /** The norm of all gradients together. */
    double norm() {
        double total = 0;
        for (double sum : sums) {
            total += sum;
        }
        return Math.sqrt(total);
    }

    /**
     * The first parameter whose gradient, multiplied by {@code scale}, is not finite or would overflow the arithmetic of its
     * optimizer; -1 if there is none.
     */
    int firstNonFinite(double scale) {
        for (int i = 0; i < sums.length; i++) {
            double largest = Math.sqrt(sums[i]) * Math.abs(scale);
            if (!(largest <= slots.get(i).largestGradient())) {
                return i;
            }
        }
        return -1;
    }
}
