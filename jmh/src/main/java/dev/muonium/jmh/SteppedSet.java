package dev.muonium.jmh;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.GroupSpec;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StepReport;

/** The matrices of a {@link MatrixSet} with an optimizer, on a device of their own; nothing is freed before the process ends. */
final class SteppedSet {
    private final Device device;
    private final Optimizer optimizer;
    private long parameters;
    private double flops;
    private long nanos;
    private long waitedBefore;

    SteppedSet(GroupSpec group, Device device, MatrixSet set) {
        this.device = device;
        this.optimizer = Optimizer.builder(device).group(group).build();
        for (int layer = 0; layer < set.layers(); layer++) {
            for (int i = 0; i < set.shapes().size(); i++) {
                add(group, layer + "." + i, set.shapes().get(i));
            }
        }
    }

    private void add(GroupSpec group, String name, Shape shape) {
        Tensor weights = noise(Purpose.WEIGHTS, name, shape);
        Tensor gradient = noise(Purpose.GRADIENTS, name + ".gradient", shape);
        optimizer.add(Parameter.of(ParameterKind.MATRIX, weights, gradient).inGroup(group.name()));
        parameters += shape.elements();
        if (group instanceof Muon muon) {
            int steps = muon.newtonSchulzOn(device).schedule().steps().size();
            flops += Work.plainNewtonSchulzFlops(steps, shape.extent(0), shape.extent(1));
        }
    }

    private Tensor noise(Purpose purpose, String name, Shape shape) {
        Tensor tensor = device.allocate(purpose, name, ElementType.F32, shape);
        Noise.fill(device, tensor);
        return tensor;
    }

    StepReport step() {
        long begin = System.nanoTime();
        StepReport report = optimizer.step();
        nanos += System.nanoTime() - begin;
        return report;
    }

    /** Percent of the steps' time since the last call in which the host was not waiting for a GPU. */
    double hostPercent() {
        long waited = optimizer.waitedNanos() - waitedBefore;
        double percent = nanos == 0 ? 0 : 100.0 * (nanos - waited) / nanos;
        waitedBefore += waited;
        nanos = 0;
        return percent;
    }

    /** What a step does; its bytes are left out, because they depend on what stays in the caches. */
    Work work() {
        return new Work(parameters, 0, flops, device.ledger().bytes(Purpose.OPTIMIZER_STATE));
    }
}
