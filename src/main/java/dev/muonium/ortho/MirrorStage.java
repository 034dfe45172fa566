package dev.muonium.ortho;

import dev.muonium.device.Kernels;

/** Makes the lower triangle of a square matrix the mirror of the upper one. */
final class MirrorStage implements Stage {
    private static final long ROWS = 128;

    private final Kernels kernels;
    private final Matrix x;

    MirrorStage(Kernels kernels, Matrix x) {
        this.kernels = kernels;
        this.x = x;
    }

    @Override
    public int tasks() {
        return Math.toIntExact((x.rows() + ROWS - 1) / ROWS);
    }

    @Override
    public void run(int task, int worker) {
        long begin = task * ROWS;
        kernels.mirrorUpper(x.segment(), x.type(), x.cols(), begin, Math.min(begin + ROWS, x.rows()));
    }
}
