package dev.muonium.device;

import dev.muonium.bindings.mu.mu_adamw_params;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;

/** A {@code mu_adamw_params}. */
final class NativeAdamWParameters implements AdamWParameters {
    private final Tensor memory;

    NativeAdamWParameters(Allocator allocator) {
        memory = allocator.allocate(
                Purpose.OPTIMIZER_WORKSPACE,
                "AdamW parameters",
                ElementType.F64,
                Shape.of(mu_adamw_params.sizeof() / Double.BYTES));
    }

    @Override
    public void set(
            double lr, double beta1, double beta2, double eps, double weightDecay, long step, double gradientScale) {
        if (step < 1) {
            throw new IllegalArgumentException("step is " + step + "; steps are counted from 1");
        }
        MemorySegment params = segment();
        mu_adamw_params.lr(params, lr);
        mu_adamw_params.beta1(params, beta1);
        mu_adamw_params.beta2(params, beta2);
        mu_adamw_params.eps(params, eps);
        mu_adamw_params.weight_decay(params, weightDecay);
        mu_adamw_params.bias_correction1(params, 1 - Math.pow(beta1, (double) step));
        mu_adamw_params.bias_correction2(params, 1 - Math.pow(beta2, (double) step));
        mu_adamw_params.gradient_scale(params, gradientScale);
    }

    @Override
    public MemorySegment segment() {
        return memory.segment();
    }

    @Override
    public void close() {
        memory.close();
    }
}
