package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.memory.Purpose;
import dev.muonium.quant.QuantizedTensor;
import java.util.List;

/** A matrix that Muon updates, and its momentum. */
final class MuonSlot extends Slot {
    final Muon spec;
    final long rows;
    final long cols;
    final QuantizedTensor momentum;
    final double adjustment;

    MuonSlot(Device device, Parameter parameter, ParameterGroup group, Muon spec, WeightRounding rounding) {
        super(device, parameter, group, rounding);
        this.spec = spec;
        this.rows = parameter.shape().extent(0);
        this.cols = parameter.shape().extent(1);
        this.adjustment = spec.adjustment().factor(rows, cols);
        try {
            this.momentum = QuantizedTensor.allocate(
                    device,
                    Purpose.OPTIMIZER_STATE,
                    parameter.name() + ".momentum_buffer",
                    spec.momentumFormat(),
                    spec.block(),
                    elements());
        } catch (RuntimeException e) {
            super.close();
            throw e;
        }
    }

    @Override
    List<NamedState> state() {
        return List.of(new NamedState("momentum_buffer", momentum));
    }

    @Override
    public void close() {
        momentum.close();
        super.close();
    }
}
