package dev.muonium.ortho;

import dev.muonium.device.Kernels;
import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;

/**
 * The norm {@code √‖X·Xᵀ‖} of {@link NormConvention#GRAM}, from the Gram matrix of the first step: two stages between it and the
 * polynomial. The sum is in FP64 and in a fixed order.
 *
 * <p>bfloat16 rounds the Gram matrix by less than 0.4 %, so its root may be 0.2 % below the exact bound of the singular values: the
 * safety factor of a schedule is for that, too.
 */
final class GramNorm {
    private static final long ELEMENTS = 1 << 16;

    private final Kernels kernels;
    private final MemorySegment gram;
    private final ElementType type;
    private final long elements;
    private final FirstStep firstStep;
    private final double[] partial;
    private int shift;

    /** @param gram {@code X·Xᵀ}, both triangles, and perhaps zeros */
    GramNorm(Kernels kernels, MemorySegment gram, ElementType type, long elements, FirstStep firstStep) {
        this.kernels = kernels;
        this.gram = gram;
        this.type = type;
        this.elements = elements;
        this.firstStep = firstStep;
        this.partial = new double[Math.toIntExact((elements + ELEMENTS - 1) / ELEMENTS)];
    }

    /** X is U times 2 to the power of this. */
    void shift(int value) {
        shift = value;
    }

    /** Adds up the squares. */
    Stage sums() {
        return new Stage() {
            @Override
            public int tasks() {
                return partial.length;
            }

            @Override
            public void run(int task, int worker) {
                long begin = task * ELEMENTS;
                partial[task] = kernels.sumSquares(gram, type, begin, Math.min(begin + ELEMENTS, elements));
            }
        };
    }

    /** Gives the first step its coefficients. */
    Stage factor() {
        return new Stage() {
            @Override
            public int tasks() {
                return 1;
            }

            @Override
            public void run(int task, int worker) {
                double sum = 0;
                for (double part : partial) {
                    sum += part;
                }
                // The fourth root, of U and not of X.
                firstStep.normalize(Math.scalb(Math.sqrt(Math.sqrt(sum)), -shift), shift);
            }
        };
    }
}
