package dev.muonium.ortho;

import dev.muonium.device.Kernels;
import java.lang.foreign.ValueLayout;
import java.util.function.DoubleUnaryOperator;

/** {@code C ← i·I + x·A + y·S} for n × n matrices in FP32, with coefficients that depend on the normalization. */
final class CombinationStage implements Stage, Normalized {
    private static final long ROWS = 128;

    private final Kernels kernels;
    private final DoubleUnaryOperator identity;
    private final DoubleUnaryOperator ofA;
    private final DoubleUnaryOperator ofS;
    private final Matrix a;
    private final Matrix s;
    private final Matrix c;
    private double scale;

    CombinationStage(
            Kernels kernels,
            DoubleUnaryOperator identity,
            DoubleUnaryOperator ofA,
            Matrix a,
            DoubleUnaryOperator ofS,
            Matrix s,
            Matrix c) {
        this.kernels = kernels;
        this.identity = identity;
        this.ofA = ofA;
        this.ofS = ofS;
        this.a = a;
        this.s = s;
        this.c = c;
        factor(1);
    }

    @Override
    public void factor(double value) {
        scale = value;
    }

    @Override
    public int tasks() {
        return Math.toIntExact((c.rows() + ROWS - 1) / ROWS);
    }

    @Override
    public void run(int task, int worker) {
        long n = c.cols();
        long begin = task * ROWS;
        long end = Math.min(begin + ROWS, c.rows());
        kernels.axpby(
                (float) ofA.applyAsDouble(scale),
                a.segment(),
                a.type(),
                n,
                (float) ofS.applyAsDouble(scale),
                s.segment(),
                s.type(),
                n,
                c.segment(),
                c.type(),
                n,
                n,
                begin,
                end);
        float added = (float) identity.applyAsDouble(scale);
        for (long i = begin; i < end && added != 0; i++) {
            long at = i * n + i;
            c.segment()
                    .setAtIndex(ValueLayout.JAVA_FLOAT, at, c.segment().getAtIndex(ValueLayout.JAVA_FLOAT, at) + added);
        }
    }
}
