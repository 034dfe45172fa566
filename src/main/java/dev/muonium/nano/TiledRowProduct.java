package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.device.Matmul;
import dev.muonium.device.MatmulSpec;
import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;

/** A row product in the element type of its matrices. */
final class TiledRowProduct implements RowProduct {
    private final ElementType type;
    private final RowTiles tiles;
    private final int outputs;
    private final int inputs;
    private final Matmul full;
    private final Matmul tail;

    private TiledRowProduct(
            Device device,
            ElementType type,
            RowTiles tiles,
            boolean transposed,
            int outputs,
            int inputs,
            boolean accumulate) {
        this.type = type;
        this.tiles = tiles;
        this.outputs = outputs;
        this.inputs = inputs;
        this.full = matmul(device, tiles.tile(), transposed, accumulate);
        this.tail = tiles.tail() == 0 ? full : matmul(device, tiles.tail(), transposed, accumulate);
    }

    /** {@code X·Wᵀ} with W of {@code outputs × inputs}: the way forward. */
    static TiledRowProduct forward(Device device, ElementType type, RowTiles tiles, int outputs, int inputs) {
        return new TiledRowProduct(device, type, tiles, true, outputs, inputs, false);
    }

    /** {@code Y + X·Wᵀ}. */
    static TiledRowProduct forwardAdding(Device device, ElementType type, RowTiles tiles, int outputs, int inputs) {
        return new TiledRowProduct(device, type, tiles, true, outputs, inputs, true);
    }

    /** {@code X·W} with W of {@code outputs × inputs}, where X is a gradient of {@code rows × outputs}: the way back. */
    static TiledRowProduct backward(Device device, ElementType type, RowTiles tiles, int outputs, int inputs) {
        return new TiledRowProduct(device, type, tiles, false, inputs, outputs, false);
    }

    /** {@code Y + X·W}. */
    static TiledRowProduct backwardAdding(Device device, ElementType type, RowTiles tiles, int outputs, int inputs) {
        return new TiledRowProduct(device, type, tiles, false, inputs, outputs, true);
    }

    private Matmul matmul(Device device, int rows, boolean transposed, boolean accumulate) {
        MatmulSpec spec = MatmulSpec.dense(type, type, false, transposed, rows, outputs, inputs);
        return device.matmul(accumulate ? spec.accumulating() : spec);
    }

    @Override
    public void run(int worker, MemorySegment x, MemorySegment w, MemorySegment y, long rowBegin, int rows) {
        Matmul matmul = rows == tiles.tile() ? full : tail;
        matmul.run(worker, x, rowBegin * inputs, w, 0, y, rowBegin * outputs);
    }
}
