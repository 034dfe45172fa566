package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.device.Fp8Matmul;
import dev.muonium.device.Fp8Spec;
import dev.muonium.memory.ElementType;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Makes the products of linear layers with W of {@code outputs × inputs}: in FP8 where that was asked for and the device has the product, else in the
 * element type of the model. What is replaced is logged.
 *
 * @param rows of a batch
 * @param fp8 null for none in FP8
 */
record LinearProducts(
        Device device,
        Precision precision,
        Grain grain,
        RowTiles tiles,
        long rows,
        @Nullable Fp8Buffers fp8) {
    private static final Logger LOG = LogManager.getLogger(LinearProducts.class);

    private ElementType type() {
        return precision.compute();
    }

    /** {@code Y ← X·Wᵀ}, or {@code Y += X·Wᵀ}. */
    RowProduct forward(int outputs, int inputs, boolean adding) {
        if (fp8 != null && fp8.shapes().fp8Activations()) {
            Fp8Shapes shapes = fp8.shapes();
            RowProduct product = rowProduct(fp8, false, count -> shapes.forward(count, outputs, inputs, adding));
            if (product != null) {
                return product;
            }
        }
        return adding
                ? TiledRowProduct.forwardAdding(device, type(), tiles, outputs, inputs)
                : TiledRowProduct.forward(device, type(), tiles, outputs, inputs);
    }

    /** {@code dX ← dY·W}, or {@code dX += dY·W}. */
    RowProduct backward(int outputs, int inputs, boolean adding) {
        if (fp8 != null && fp8.shapes().fp8Gradients()) {
            Fp8Shapes shapes = fp8.shapes();
            RowProduct product = rowProduct(fp8, true, count -> shapes.backward(count, outputs, inputs, adding));
            if (product != null) {
                return product;
            }
        }
        return adding
                ? TiledRowProduct.backwardAdding(device, type(), tiles, outputs, inputs)
                : TiledRowProduct.backward(device, type(), tiles, outputs, inputs);
    }

    /** {@code dW += dYᵀ·X}. */
    WeightGradient weightGradient(int outputs, int inputs) {
        if (fp8 != null && fp8.shapes().fp8Weights()) {
            Fp8Matmul product = fp8Matmul(fp8.shapes().weightGradient(rows, outputs, inputs));
            if (product != null) {
                return new Fp8WeightGradient(fp8, type(), product);
            }
        }
        return new TiledWeightGradient(grain.weightGradient(device, precision, outputs, inputs, rows));
    }

    /** The specification for a number of rows. */
    @FunctionalInterface
    private interface OfRows {
        Fp8Spec spec(long rows);
    }

    private @Nullable RowProduct rowProduct(Fp8Buffers buffers, boolean back, OfRows ofRows) {
        Fp8Matmul batch = fp8Matmul(ofRows.spec(rows));
        Fp8Matmul sequence = back ? batch : fp8Matmul(ofRows.spec(tiles.context()));
        return batch == null || sequence == null ? null : new Fp8RowProduct(buffers, type(), back, batch, sequence);
    }

    private @Nullable Fp8Matmul fp8Matmul(Fp8Spec spec) {
        try {
            return device.fp8Matmul(spec);
        } catch (UnsupportedOperationException e) {
            LOG.warn("{} instead, on {}", e.getMessage(), device.describe());
            return null;
        }
    }
}
