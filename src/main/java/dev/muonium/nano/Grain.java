package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.device.MatmulSpec;
import dev.muonium.device.TiledProduct;

/** How the work of a model is cut into tasks. The results of both are the same but for the order in which products are added up. */
enum Grain {
    /** Pieces that stay in the cache of a core, enough of them for many workers. */
    TILES,
    /** One task for all rows, one for each matrix: for a device that divides the work itself and is asked for it call by call. */
    WHOLE;

    static Grain of(Device device) {
        return device.memory().isHost() ? TILES : WHOLE;
    }

    /** A product in tiles of about that many rows and columns, or as one. */
    TiledProduct tiled(Device device, MatmulSpec product, long rows, long cols) {
        return this == WHOLE
                ? TiledProduct.of(device, product, TiledProduct.WHOLE, TiledProduct.WHOLE)
                : TiledProduct.of(device, product, rows, cols);
    }

    /** The gradient of a matrix W of {@code outputs × inputs}: {@code dW += dYᵀ·X} over {@code rows} rows. */
    TiledProduct weightGradient(Device device, Precision precision, long outputs, long inputs, long rows) {
        MatmulSpec whole =
                MatmulSpec.dense(precision.compute(), precision.gradients(), true, false, outputs, inputs, rows);
        return tiled(device, whole.accumulating(), 128, 512);
    }
}
