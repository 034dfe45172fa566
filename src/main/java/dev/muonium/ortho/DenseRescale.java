package dev.muonium.ortho;

import dev.muonium.device.Kernels;

/** In place; no work for k = 0. */
final class DenseRescale implements RescaleStage {
    private static final long ELEMENTS = 1 << 16;

    private final Kernels kernels;
    private final Matrix x;
    private final long rowsPerTask;
    private int exponent;

    DenseRescale(Kernels kernels, Matrix x) {
        this.kernels = kernels;
        this.x = x;
        this.rowsPerTask = Math.max(1, ELEMENTS / x.cols());
    }

    @Override
    public void exponent(int value) {
        exponent = value;
    }

    @Override
    public int tasks() {
        return exponent == 0 ? 0 : Math.toIntExact((x.rows() + rowsPerTask - 1) / rowsPerTask);
    }

    @Override
    public void run(int task, int worker) {
        long begin = task * rowsPerTask;
        long end = Math.min(begin + rowsPerTask, x.rows());
        kernels.scale(
                Math.scalb(1f, exponent),
                x.segment(),
                x.type(),
                x.cols(),
                x.segment(),
                x.type(),
                x.cols(),
                x.cols(),
                begin,
                end);
    }
}
