package dev.muonium.jmh;

import dev.muonium.device.CpuDevice;
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

/**
 * The hidden matrices of a GPT of width d with an optimizer: per layer four of d×d (attention), one of d×4d and one of 4d×d (MLP).
 * Has a device of its own; nothing is freed before the process ends.
 */
final class GptSet {
    private final CpuDevice device;
    private final Optimizer optimizer;
    private long parameters;
    private double flops;

    GptSet(GroupSpec group, int threads, long width, int layers) {
        device = Device.cpu(threads);
        optimizer = Optimizer.builder(device).group(group).build();
        for (int layer = 0; layer < layers; layer++) {
            for (int i = 0; i < 4; i++) {
                add(group, layer + ".attention." + i, Shape.of(width, width));
            }
            add(group, layer + ".mlp.in", Shape.of(width, 4 * width));
            add(group, layer + ".mlp.out", Shape.of(4 * width, width));
        }
    }

    private void add(GroupSpec group, String name, Shape shape) {
        Tensor weights = noise(Purpose.WEIGHTS, name, shape);
        Tensor gradient = noise(Purpose.GRADIENTS, name + ".gradient", shape);
        optimizer.add(Parameter.of(ParameterKind.MATRIX, weights, gradient).inGroup(group.name()));
        parameters += shape.elements();
        if (group instanceof Muon muon) {
            int steps = muon.newtonSchulz().schedule().steps().size();
            flops += Work.plainNewtonSchulzFlops(steps, shape.extent(0), shape.extent(1));
        }
    }

    private Tensor noise(Purpose purpose, String name, Shape shape) {
        Tensor tensor = device.allocate(purpose, name, ElementType.F32, shape);
        Noise.fill(tensor.segment());
        return tensor;
    }

    StepReport step() {
        return optimizer.step();
    }

    /** What a step does; its bytes are left out, because they depend on what stays in the caches. */
    Work work() {
        return new Work(parameters, 0, flops);
    }
}
