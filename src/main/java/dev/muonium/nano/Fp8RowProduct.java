package dev.muonium.nano;

import dev.muonium.device.Fp8Matmul;
import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;

/** A row product in FP8, of all rows at a time. */
final class Fp8RowProduct implements RowProduct {
    private final Fp8Buffers buffers;
    private final ElementType type;
    private final boolean back;
    private final Fp8Matmul[] products;

    /**
     * @param type of X, W and Y
     * @param back whether X is a gradient, which W is multiplied with as it is stored, not transposed
     * @param products for each number of rows that there may be
     */
    Fp8RowProduct(Fp8Buffers buffers, ElementType type, boolean back, Fp8Matmul... products) {
        this.buffers = buffers;
        this.type = type;
        this.back = back;
        this.products = products;
    }

    @Override
    public void run(int worker, MemorySegment x, MemorySegment w, MemorySegment y, long rowBegin, int rows) {
        Fp8Matmul product = product(rowBegin, rows);
        product.codeA(buffers.left(), x, type, false);
        multiply(product, w, y);
    }

    @Override
    public void runAgain(int worker, MemorySegment x, MemorySegment w, MemorySegment y, long rowBegin, int rows) {
        Fp8Matmul product = product(rowBegin, rows);
        if (!product.holdsA(buffers.left(), x, false)) {
            product.codeA(buffers.left(), x, type, false);
        }
        multiply(product, w, y);
    }

    /** The weights have the sum along their rows forward, and along their columns back: then their transpose is coded. */
    private void multiply(Fp8Matmul product, MemorySegment w, MemorySegment y) {
        product.codeB(buffers.right(), w, type, back);
        product.run(buffers.left(), buffers.right(), y, buffers.beside());
    }

    private Fp8Matmul product(long rowBegin, int rows) {
        for (Fp8Matmul product : products) {
            if (rowBegin == 0 && product.spec().m() == rows) {
                return product;
            }
        }
        throw new IllegalArgumentException(
                "FP8 products are made for whole batches, not for " + rows + " rows from row " + rowBegin + " on");
    }
}
