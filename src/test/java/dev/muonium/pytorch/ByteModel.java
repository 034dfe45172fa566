package dev.muonium.pytorch;

import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.EmbeddingImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** A small language model: an embedding, two hidden layers, a head. The same seed gives the same weights. */
final class ByteModel extends Module {
    static final String HEAD = "head.weight";

    private static final int SYMBOLS = 40;
    private static final int CONTEXT = 3;

    private final EmbeddingImpl embedding;
    private final LinearImpl up;
    private final LinearImpl down;
    private final LinearImpl head;

    ByteModel() {
        this(16);
    }

    ByteModel(int width) {
        torch.manual_seed(7);
        embedding = register_module("embedding", new EmbeddingImpl(SYMBOLS, width));
        up = register_module("up", new LinearImpl((long) CONTEXT * width, 3L * width));
        down = register_module("down", new LinearImpl(3L * width, width));
        head = register_module("head", new LinearImpl(width, SYMBOLS));
    }

    ByteModel inBfloat16() {
        to(torch.ScalarType.BFloat16, false);
        return this;
    }

    Tensor forward(Tensor symbols) {
        Tensor x = embedding.forward(symbols).flatten(1, -1);
        x = torch.relu(up.forward(x));
        return head.forward(torch.relu(down.forward(x)));
    }

    /** Adds the gradients of a batch that the number determines. */
    void backward(int batch) {
        try (PointerScope _ = new PointerScope()) {
            Random random = new Random(batch);
            int rows = 12;
            long[] symbols = random.longs((long) rows * CONTEXT, 0, SYMBOLS).toArray();
            long[] next = random.longs(rows, 0, SYMBOLS).toArray();
            Tensor logits = forward(Tensor.create(symbols, rows, CONTEXT));
            torch.cross_entropy_loss(logits.to(torch.ScalarType.Float), Tensor.create(next))
                    .backward();
        }
    }

    LinearImpl up() {
        return up;
    }
}
