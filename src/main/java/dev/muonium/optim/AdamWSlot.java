package dev.muonium.optim;

import dev.muonium.device.AdamWParameters;
import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.Purpose;
import dev.muonium.quant.QuantizedTensor;
import java.util.List;

/** A parameter that AdamW updates, and its two moments. */
final class AdamWSlot extends Slot {
    final AdamW spec;
    final QuantizedTensor m;
    final QuantizedTensor v;
    final AdamWParameters scalars;

    AdamWSlot(Device device, Parameter parameter, ParameterGroup group, AdamW spec, WeightRounding rounding) {
        super(device, parameter, group, rounding);
        this.spec = spec;
        try {
            this.m = allocate(device, "exp_avg", spec.mFormat());
        } catch (RuntimeException e) {
            super.close();
            throw e;
        }
        try {
            this.v = allocate(device, "exp_avg_sq", spec.vFormat());
        } catch (RuntimeException e) {
            m.close();
            super.close();
            throw e;
        }
        this.scalars = device.kernels().newAdamWParameters();
    }

    private QuantizedTensor allocate(Device device, String name, BlockFormat format) {
        return QuantizedTensor.allocate(
                device, Purpose.OPTIMIZER_STATE, parameter.name() + "." + name, format, spec.block(), elements());
    }

    /** Sets what kernels read in the coming step. */
    void setScalars(double learningRateFactor, double gradientScale) {
        scalars.set(
                learningRate(learningRateFactor),
                spec.beta1(),
                spec.beta2(),
                spec.epsilon(),
                group.weightDecay(),
                steps() + 1,
                gradientScale);
    }

    @Override
    List<NamedState> state() {
        return List.of(new NamedState("exp_avg", m), new NamedState("exp_avg_sq", v));
    }

    @Override
    public void close() {
        scalars.close();
        v.close();
        m.close();
        super.close();
    }
}
