package dev.muonium.ortho;

import dev.muonium.device.Device;
import dev.muonium.device.Kernels;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** {@code P ← b·A + c·A²}, or {@code P ← a·I + b·A + c·A²}, for a symmetric A in FP32. The square is gathered where P goes. */
final class PolynomialStage implements Stage, Normalized {
    private final Kernels kernels;
    private final Coefficients coefficients;
    private final ProductStage square;
    private final Matrix a;
    private final Matrix p;
    private final boolean withIdentity;
    private final boolean upper;
    private final MemorySegment[] aParts;
    private final MemorySegment[] pParts;
    private float identity;
    private float b;
    private float c;

    /**
     * @param withIdentity whether P has the term {@code a·I}
     * @param upper whether only the upper triangle (by panels) is computed
     */
    PolynomialStage(Device device, Coefficients coefficients, Matrix a, Matrix p, boolean withIdentity, boolean upper) {
        this.kernels = device.kernels();
        this.coefficients = coefficients;
        this.square = ProductStage.square(device, a, false, a, false, p, upper);
        this.a = a;
        this.p = p;
        this.withIdentity = withIdentity;
        this.upper = upper;
        this.aParts = parts(a);
        this.pParts = parts(p);
        factor(1);
    }

    private MemorySegment[] parts(Matrix matrix) {
        MemorySegment[] parts = new MemorySegment[square.tasks()];
        for (int i = 0; i < parts.length; i++) {
            parts[i] = matrix.from(square.tile(i).cOffset());
        }
        return parts;
    }

    @Override
    public void factor(double s) {
        identity = (float) (coefficients.a() * s);
        b = (float) (coefficients.b() * s * s * s);
        c = (float) (coefficients.c() * s * s * s * s * s);
    }

    @Override
    public int tasks() {
        return square.tasks();
    }

    @Override
    public void run(int task, int worker) {
        square.run(task, worker);
        Tile tile = square.tile(task);
        long n = a.cols();
        kernels.axpby(
                c,
                pParts[task],
                p.type(),
                n,
                b,
                aParts[task],
                a.type(),
                n,
                pParts[task],
                p.type(),
                n,
                tile.product().spec().n(),
                0,
                tile.product().spec().m());
        if (withIdentity) {
            long firstRow = task * ProductStage.PANEL;
            for (long i = 0; i < tile.product().spec().m(); i++) {
                addIdentity(task, i * n + i + (upper ? 0 : firstRow));
            }
        }
    }

    private void addIdentity(int task, long index) {
        MemorySegment part = pParts[task];
        part.setAtIndex(ValueLayout.JAVA_FLOAT, index, part.getAtIndex(ValueLayout.JAVA_FLOAT, index) + identity);
    }
}
