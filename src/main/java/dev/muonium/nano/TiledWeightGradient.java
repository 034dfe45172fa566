package dev.muonium.nano;

import dev.muonium.device.TiledProduct;
import java.lang.foreign.MemorySegment;

/** By a product in the element type of the model, a tile per task. */
record TiledWeightGradient(TiledProduct product) implements WeightGradient {
    @Override
    public int tasks() {
        return product.tasks();
    }

    @Override
    public void run(int task, int worker, MemorySegment dy, MemorySegment x, MemorySegment dw) {
        product.run(task, worker, dy, x, dw);
    }
}
