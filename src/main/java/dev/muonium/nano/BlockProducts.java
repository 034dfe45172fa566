package dev.muonium.nano;

import dev.muonium.device.Device;

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

    static BlockProducts of(Device device, GptConfig config, RowTiles tiles, long rows) {
        int d = config.dModel();
        int f = config.mlpWidth();
        int q = config.queryWidth();
        int kv = config.keyWidth();
        return new BlockProducts(
                RowProduct.forward(device, tiles, q, d),
                RowProduct.forward(device, tiles, kv, d),
                RowProduct.forwardAdding(device, tiles, d, q),
                RowProduct.forward(device, tiles, f, d),
                RowProduct.forwardAdding(device, tiles, d, f),
                RowProduct.backward(device, tiles, d, f),
                RowProduct.backward(device, tiles, f, d),
                RowProduct.backwardAdding(device, tiles, f, d),
                RowProduct.backward(device, tiles, d, q),
                RowProduct.backward(device, tiles, q, d),
                RowProduct.backwardAdding(device, tiles, kv, d),
                TiledProduct.weightGradient(device, q, d, rows),
                TiledProduct.weightGradient(device, kv, d, rows),
                TiledProduct.weightGradient(device, d, q, rows),
                TiledProduct.weightGradient(device, f, d, rows),
                TiledProduct.weightGradient(device, d, f, rows));
    }
}
