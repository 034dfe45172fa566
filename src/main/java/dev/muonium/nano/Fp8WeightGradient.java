package dev.muonium.nano;

import dev.muonium.device.Fp8Matmul;
import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;

/** A weight gradient in FP8, as one task. It sums over rows, so transposed copies of both of its operands are coded. */
final class Fp8WeightGradient implements WeightGradient {
    private final Fp8Buffers buffers;
    private final ElementType type;
    private final Fp8Matmul product;

    /** @param type of dY and X */
    Fp8WeightGradient(Fp8Buffers buffers, ElementType type, Fp8Matmul product) {
        this.buffers = buffers;
        this.type = type;
        this.product = product;
    }

    @Override
    public int tasks() {
        return 1;
    }

    @Override
    public void run(int task, int worker, MemorySegment dy, MemorySegment x, MemorySegment dw) {
        product.codeB(buffers.right(), x, type, true);
        multiply(dy, dw);
    }

    @Override
    public void runAgain(int task, int worker, MemorySegment dy, MemorySegment x, MemorySegment dw) {
        if (!product.holdsB(buffers.right(), x, true)) {
            product.codeB(buffers.right(), x, type, true);
        }
        multiply(dy, dw);
    }

    private void multiply(MemorySegment dy, MemorySegment dw) {
        product.codeA(buffers.left(), dy, type, true);
        product.run(buffers.left(), buffers.right(), dw, buffers.beside());
    }
}
