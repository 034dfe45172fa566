package dev.muonium.optim;

import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.ortho.NewtonSchulz;

/** What matrices of Muon must have in common to be updated by the same launches. */
record MatrixKind(
        long rows,
        long cols,
        BlockFormat format,
        int block,
        ElementType gradientType,
        ElementType weightType,
        NewtonSchulz newtonSchulz,
        boolean nesterov,
        boolean edged) {

    /** What its momentum passes have in common. */
    MomentumKind momentum(ElementType precision) {
        return new MomentumKind(format, block, gradientType, precision, nesterov);
    }

    static MatrixKind of(MuonPiece piece) {
        MuonSlot slot = piece.slot;
        return new MatrixKind(
                piece.rows,
                piece.cols,
                slot.momentum.format(),
                slot.momentum.block(),
                slot.parameter.gradientType(),
                slot.parameter.weightType(),
                slot.newtonSchulz,
                slot.spec.nesterov(),
                piece.isEdged());
    }
}
