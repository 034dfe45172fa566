package dev.muonium.ortho;

import dev.muonium.device.Device;
import dev.muonium.device.Kernels;
import dev.muonium.memory.Bf16;
import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * {@code P ← a·I + b·A + c·A²} for a symmetric A of n × n, in panels of rows. The square goes through FP32, so that P is rounded
 * once; a·I is part of P, which saves a pass over X for {@code a·X}.
 */
final class PolynomialStage implements Stage {
    private final Kernels kernels;
    private final ProductStage square;
    private final Matrix a;
    private final Matrix squared;
    private final Matrix p;
    private final boolean upper;
    private final MemorySegment[] aPanels;
    private final MemorySegment[] squaredPanels;
    private final MemorySegment[] pPanels;
    private float c0;
    private float c1;
    private float c2;

    /**
     * @param squared FP32, where the square goes; P itself if that is FP32
     * @param upper whether only the upper triangle (by panels) is computed
     */
    PolynomialStage(Device device, Matrix a, Matrix squared, Matrix p, boolean upper) {
        this.kernels = device.kernels();
        this.square = ProductStage.square(device, a, false, a, false, squared, upper);
        this.a = a;
        this.squared = squared;
        this.p = p;
        this.upper = upper;
        this.aPanels = panels(a);
        this.squaredPanels = panels(squared);
        this.pPanels = panels(p);
    }

    private MemorySegment[] panels(Matrix x) {
        MemorySegment[] panels = new MemorySegment[square.tasks()];
        for (int i = 0; i < panels.length; i++) {
            long row = i * ProductStage.PANEL;
            panels[i] = x.from(row, upper ? row : 0);
        }
        return panels;
    }

    /** Sets the coefficients of the runs to come; {@code factor} belongs to σ, see {@link Coefficients#ofScaled}. */
    void coefficients(Coefficients coefficients, double factor) {
        double square = factor * factor;
        c0 = (float) (coefficients.a() * factor);
        c1 = (float) (coefficients.b() * factor * square);
        c2 = (float) (coefficients.c() * factor * square * square);
    }

    @Override
    public int tasks() {
        return square.tasks();
    }

    @Override
    public void run(int task, int worker) {
        square.run(task, worker);
        long n = a.rows();
        long first = task * ProductStage.PANEL;
        long rows = Math.min(ProductStage.PANEL, n - first);
        long skipped = upper ? first : 0;
        MemorySegment aPanel = aPanels[task];
        MemorySegment squaredPanel = squaredPanels[task];
        MemorySegment pPanel = pPanels[task];
        kernels.axpby(
                c2,
                squaredPanel,
                squared.type(),
                n,
                c1,
                aPanel,
                a.type(),
                n,
                pPanel,
                p.type(),
                n,
                n - skipped,
                0,
                rows);
        for (long i = 0; i < rows; i++) {
            addToDiagonal(pPanel, i * n + first - skipped + i, squaredPanel, aPanel);
        }
    }

    /** From the FP32 square where P is BF16, so that the diagonal, too, is rounded only once. */
    private void addToDiagonal(MemorySegment pPanel, long index, MemorySegment squaredPanel, MemorySegment aPanel) {
        if (p.type() == ElementType.F32) {
            float value = pPanel.getAtIndex(ValueLayout.JAVA_FLOAT, index);
            pPanel.setAtIndex(ValueLayout.JAVA_FLOAT, index, value + c0);
        } else {
            float aValue = Bf16.toFloat(aPanel.getAtIndex(ValueLayout.JAVA_SHORT, index));
            float squaredValue = squaredPanel.getAtIndex(ValueLayout.JAVA_FLOAT, index);
            pPanel.setAtIndex(ValueLayout.JAVA_SHORT, index, Bf16.fromFloat(c2 * squaredValue + c1 * aValue + c0));
        }
    }
}
