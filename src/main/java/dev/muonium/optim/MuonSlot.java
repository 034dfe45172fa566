package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.quant.QuantizedTensor;
import java.util.ArrayList;
import java.util.List;

/** A parameter that Muon updates, its momentum and its matrices. */
final class MuonSlot extends Slot {
    /** u, which is no larger than the gradients it averages, is written as bfloat16 where the iterates are. */
    private static final double LARGEST_BF16 = 0x1.FEp127;

    final Muon spec;
    final NewtonSchulz newtonSchulz;
    final QuantizedTensor momentum;
    final List<MuonPiece> pieces;
    private final double largestGradient;
    private final List<NamedState> state;
    private float decay;

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
        try {
            this.pieces = pieces(device);
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private List<MuonPiece> pieces(Device device) {
        List<MuonPiece> made = new ArrayList<>();
        long begin = 0;
        for (Shape matrix : parameter.matrices()) {
            made.add(new MuonPiece(device, this, made.size(), begin, matrix));
            begin += matrix.elements();
        }
        return List.copyOf(made);
    }

    /** How many elements of state can only be updated together. */
    long stateUnit() {
        return momentum.format().isScaled() ? momentum.block() : 1;
    }

    @Override
    void prepare(double factor) {
        double learningRate = learningRate(factor);
        decay = decay(learningRate);
        for (int i = 0; i < pieces.size(); i++) {
            pieces.get(i).prepare(learningRate);
        }
    }

    @Override
    double largestGradient() {
        return largestGradient;
    }

    /** What the weights are multiplied by in the step that was prepared. */
    float decay() {
        return decay;
    }

    @Override
    List<NamedState> state() {
        return state;
    }
}
