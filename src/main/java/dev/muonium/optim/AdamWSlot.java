package dev.muonium.optim;

import dev.muonium.device.AdamWParameters;
import dev.muonium.device.Device;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.Purpose;
import dev.muonium.quant.QuantizedTensor;
import java.util.List;

/** A parameter that AdamW updates, and its two moments. */
final class AdamWSlot extends Slot {
    private static final double LARGEST_ROOT = Math.sqrt(Float.MAX_VALUE);

    final AdamW spec;
    final QuantizedTensor m;
    final QuantizedTensor v;
    final AdamWParameters scalars;
    private final List<NamedState> state;
    private double learningRate;

    AdamWSlot(
            Device device,
            Allocator stateMemory,
            Parameter parameter,
            ParameterGroup group,
            AdamW spec,
            WeightRounding rounding) {
        super(device, parameter, group, rounding);
        this.spec = spec;
        try {
            this.m = allocate(device, stateMemory, "exp_avg", spec.mFormat());
            this.v = allocate(device, stateMemory, "exp_avg_sq", spec.vFormat());
            this.scalars = device.kernels().newAdamWParameters();
        } catch (RuntimeException e) {
            close();
            throw e;
        }
        onClose(scalars::close);
        this.state = List.of(new NamedState("exp_avg", m), new NamedState("exp_avg_sq", v));
    }

    private QuantizedTensor allocate(Device device, Allocator stateMemory, String name, BlockFormat format) {
        QuantizedTensor made = QuantizedTensor.allocate(
                device,
                stateMemory,
                Purpose.OPTIMIZER_STATE,
                parameter.name() + "." + name,
                format,
                spec.block(),
                elements());
        onClose(made::close);
        return made;
    }

    @Override
    void prepare(double factor) {
        learningRate = learningRate(factor);
        decay(learningRate);
        requireFinite("the bias-corrected learning rate", learningRate / (1 - Math.pow(spec.beta1(), steps() + 1.0)));
    }

    /** It is squared. */
    @Override
    double largestGradient() {
        return LARGEST_ROOT;
    }

    /** Sets what kernels read in the step that was prepared. */
    void setScalars(double gradientScale) {
        scalars.set(
                learningRate,
                spec.beta1(),
                spec.beta2(),
                spec.epsilon(),
                group.weightDecay(),
                steps() + 1,
                gradientScale);
    }

    @Override
    List<NamedState> state() {
        return state;
    }
}
