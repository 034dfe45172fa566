package dev.muonium.jmh.pytorch;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.TensorVector;

/** PyTorch's own AdamW. */
final class PyTorchAdamW implements Stepper {
    private final AdamW optimizer;
    private final long parameters;

    PyTorchAdamW(Module module, double learningRate, double weightDecay) {
        AdamWOptions options = new AdamWOptions(learningRate);
        options.weight_decay().put(weightDecay);
        optimizer = new AdamW(module.parameters(), options);
        try (PointerScope scope = new PointerScope()) {
            TensorVector all = module.parameters();
            long count = 0;
            for (long i = 0; i < all.size(); i++) {
                count += all.get(i).numel();
            }
            parameters = count;
        }
    }

    @Override
    public void zeroGrad() {
        optimizer.zero_grad(true);
    }

    @Override
    public void step() {
        try (PointerScope scope = new PointerScope()) {
            optimizer.step();
        }
    }

    /** exp_avg and exp_avg_sq, float32 each. */
    @Override
    public long stateBytes() {
        return parameters * 2 * Float.BYTES;
    }

    @Override
    public void close() {
        optimizer.close();
    }
}
