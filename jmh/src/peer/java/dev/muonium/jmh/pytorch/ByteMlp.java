package dev.muonium.jmh.pytorch;

import org.bytedeco.pytorch.EmbeddingImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Predicts a byte from those before it: an embedding of 64 per byte, three hidden layers of 768, a head. The same seed gives the same weights. */
final class ByteMlp extends Module {
    static final int CONTEXT = 24;
    static final String HEAD = "head.weight";

    private static final int BYTES = 256;
    private static final int EMBEDDING = 64;
    private static final int WIDTH = 768;

    private final EmbeddingImpl embedding;
    private final LinearImpl first;
    private final LinearImpl second;
    private final LinearImpl third;
    private final LinearImpl head;

    ByteMlp(long seed) {
        torch.manual_seed(seed);
        embedding = register_module("embedding", new EmbeddingImpl(BYTES, EMBEDDING));
        first = register_module("first", new LinearImpl((long) CONTEXT * EMBEDDING, WIDTH));
        second = register_module("second", new LinearImpl(WIDTH, WIDTH));
        third = register_module("third", new LinearImpl(WIDTH, WIDTH));
        head = register_module("head", new LinearImpl(WIDTH, BYTES));
    }

    Tensor loss(ByteText.Batch batch) {
        Tensor x = embedding.forward(batch.rows()).flatten(1, -1);
        x = torch.relu(first.forward(x));
        x = torch.relu(second.forward(x));
        x = torch.relu(third.forward(x));
        return torch.cross_entropy_loss(head.forward(x), batch.next());
    }
}
