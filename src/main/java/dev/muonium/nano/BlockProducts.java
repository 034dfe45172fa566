package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.device.TiledProduct;
import dev.muonium.memory.ElementType;

/** The matrix products of a block; all blocks of a model share them, for they have the same shapes. */
record BlockProducts(
        RowProduct q,
        RowProduct kv,
        RowProduct outAdding,
        RowProduct up,
        RowProduct downAdding,
        RowProduct backThroughDown,
        RowProduct backThroughUp,
        RowProduct backThroughUpAdding,
        RowProduct backThroughOut,
        RowProduct backThroughQ,
        RowProduct backThroughKvAdding,
        TiledProduct qGradient,
        TiledProduct kvGradient,
        TiledProduct outGradient,
        TiledProduct upGradient,
        TiledProduct downGradient) {

    static BlockProducts of(
            Device device, GptConfig config, Precision precision, Grain grain, RowTiles tiles, long rows) {
        ElementType type = precision.compute();
        int d = config.dModel();
        int f = config.mlpWidth();
        int q = config.queryWidth();
        int kv = config.keyWidth();
        return new BlockProducts(
                RowProduct.forward(device, type, tiles, q, d),
                RowProduct.forward(device, type, tiles, kv, d),
                RowProduct.forwardAdding(device, type, tiles, d, q),
                RowProduct.forward(device, type, tiles, f, d),
                RowProduct.forwardAdding(device, type, tiles, d, f),
                RowProduct.backward(device, type, tiles, d, f),
                RowProduct.backward(device, type, tiles, f, d),
                RowProduct.backwardAdding(device, type, tiles, f, d),
                RowProduct.backward(device, type, tiles, d, q),
                RowProduct.backward(device, type, tiles, q, d),
                RowProduct.backwardAdding(device, type, tiles, kv, d),
                grain.weightGradient(device, precision, q, d, rows),
                grain.weightGradient(device, precision, kv, d, rows),
                grain.weightGradient(device, precision, d, q, rows),
                grain.weightGradient(device, precision, f, d, rows),
                grain.weightGradient(device, precision, d, f, rows));
    }
}
