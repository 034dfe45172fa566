package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.quant.QuantizedTensor;
import java.util.List;

/** A matrix that Muon updates, and its momentum. */
final class MuonSlot extends Slot {
    /** u, which is no larger than the gradients it averages, is written as bfloat16 where the iterates are. */
    private static final double LARGEST_BF16 = 0x1.FEp127;

    final Muon spec;
    final NewtonSchulz newtonSchulz;
    final long rows;
    final long cols;
    final QuantizedTensor momentum;
    final double adjustment;
    private final double largestGradient;
    private final List<NamedState> state;
    private float decay;
    private float rate;

    MuonSlot(
            Device device,
            Allocator stateMemory,
            Parameter parameter,
            ParameterGroup group,
            Muon spec,
            NewtonSchulz newtonSchulz,
            WeightRounding rounding) {
        super(device, parameter, group, rounding);
        this.spec = spec;
        this.newtonSchulz = newtonSchulz;
        this.rows = parameter.shape().extent(0);
        this.cols = parameter.shape().extent(1);
        this.adjustment = spec.adjustment().factor(rows, cols);
        this.largestGradient = newtonSchulz.precisionOn(device) == ElementType.BF16 ? LARGEST_BF16 : Float.MAX_VALUE;
        try {
            this.momentum = QuantizedTensor.allocate(
                    device,
                    stateMemory,
                    Purpose.OPTIMIZER_STATE,
                    parameter.name() + ".momentum_buffer",
                    spec.momentumFormat(),
                    spec.block(),
                    elements());
        } catch (RuntimeException e) {
            close();
            throw e;
        }
        onClose(momentum::close);
        this.state = List.of(new NamedState("momentum_buffer", momentum));
    }

    @Override
    void prepare(double factor) {
        double learningRate = learningRate(factor);
        decay = decay(learningRate);
        rate = requireFinite("the adjusted learning rate", learningRate * adjustment);
    }

    @Override
    double largestGradient() {
        return largestGradient;
    }

    /** What the weights are multiplied by in the step that was prepared. */
    float decay() {
        return decay;
    }

    /** What O is multiplied by in the step that was prepared. */
    float rate() {
        return rate;
    }

    @Override
    List<NamedState> state() {
        return state;
    }
}
