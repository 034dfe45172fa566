package dev.muonium.ortho;

import dev.muonium.device.Kernels;
import dev.muonium.device.PanelProduct;
import java.lang.foreign.MemorySegment;

/** On the way from the dense U into panels. */
final class PackStage implements RescaleStage {
    private final Kernels kernels;
    private final Matrix u;
    private final MemorySegment panels;
    private final MemorySegment transposed;
    private float factor = 1;

    PackStage(Kernels kernels, Matrix u, MemorySegment panels, MemorySegment transposed) {
        this.kernels = kernels;
        this.u = u;
        this.panels = panels;
        this.transposed = transposed;
    }

    @Override
    public void exponent(int value) {
        factor = Math.scalb(1f, value);
    }

    @Override
    public int tasks() {
        return Math.toIntExact((u.rows() + PanelProduct.ROWS - 1) / PanelProduct.ROWS);
    }

    @Override
    public void run(int task, int worker) {
        long begin = task * PanelProduct.ROWS;
        kernels.packPanels(
                factor,
                u.segment(),
                u.rows(),
                u.cols(),
                panels,
                transposed,
                begin,
                Math.min(begin + PanelProduct.ROWS, u.rows()));
    }
}
