package dev.muonium.nano;

import static dev.muonium.nano.Ranges.requireRange;

import dev.muonium.memory.Shape;
import dev.muonium.optim.ParameterKind;
import java.util.ArrayList;
import java.util.List;

/**
 * The shape of the reference GPT, which follows nanochat: token embedding; blocks of causal grouped-query attention (rotary positions,
 * normalized queries and keys) and an MLP, each behind an RMS normalization without weights and added to the residual stream; a head
 * with a soft cap on the logits. There are no biases.
 *
 * @param vocab number of tokens
 * @param layers number of blocks
 * @param dModel width of the residual stream
 * @param heads query heads
 * @param kvHeads key and value heads; divides {@code heads}
 * @param headDim width of a head; even
 * @param mlp the kind of MLP
 * @param mlpWidth width of the MLP's hidden layer
 * @param context the longest sequence, in tokens
 * @param weightTied whether the head is the embedding
 * @param softCap logits are {@code softCap·tanh(x/softCap)}; 0 for none
 * @param ropeBase base of the rotary wavelengths
 * @param normEps added to the mean square in RMS normalization
 */
public record GptConfig(
        int vocab,
        int layers,
        int dModel,
        int heads,
        int kvHeads,
        int headDim,
        Mlp mlp,
        int mlpWidth,
        int context,
        boolean weightTied,
        double softCap,
        double ropeBase,
        double normEps) {

    /** The kinds of MLP. */
    public enum Mlp {
        /** Two matrices: {@code down·max(up·x, 0)²}. */
        RELU2,
        /** Three matrices (SwiGLU): {@code down·(silu(gate·x) ⊙ up·x)}. */
        GATED
    }

    /** Checks every extent; the message names the field, the value and what is allowed. */
    public GptConfig {
        requireRange("vocab", vocab, 2, 1 << 24);
        requireRange("layers", layers, 1, 1000);
        requireRange("d_model", dModel, 1, 1 << 17);
        requireRange("heads", heads, 1, 1024);
        requireRange("kv_heads", kvHeads, 1, heads);
        requireRange("head_dim", headDim, 2, 1024);
        requireRange("mlp_width", mlpWidth, 1, 1 << 20);
        requireRange("context", context, 2, 1 << 20);
        if (heads % kvHeads != 0) {
            throw new IllegalArgumentException("kv_heads is " + kvHeads + ", which does not divide the " + heads
                    + " heads; each key and value head serves the same number of query heads");
        }
        if (headDim % 2 != 0) {
            throw new IllegalArgumentException(
                    "head_dim is " + headDim + "; it must be even, because rotary positions turn pairs");
        }
        requireRange("logit_soft_cap", softCap, 0, 1e6);
        requireRange("rope_base", ropeBase, 1, 1e9);
        requireRange("norm_eps", normEps, 1e-12, 1);
    }

    /** Elements of all queries of a token: {@code heads·headDim}. */
    public int queryWidth() {
        return heads * headDim;
    }

    /** Elements of all keys (or values) of a token: {@code kvHeads·headDim}. */
    public int keyWidth() {
        return kvHeads * headDim;
    }

    /** Every parameter, in the order in which the model holds them; allocates no tensor. */
    public List<ParameterDescription> parameters() {
        List<ParameterDescription> list = new ArrayList<>();
        list.add(new ParameterDescription("embedding", Shape.of(vocab, dModel), ParameterKind.EMBEDDING));
        for (int layer = 0; layer < layers; layer++) {
            String block = "blocks." + layer + ".";
            addMatrix(list, block + "attn.q", queryWidth(), dModel);
            addMatrix(list, block + "attn.k", keyWidth(), dModel);
            addMatrix(list, block + "attn.v", keyWidth(), dModel);
            addMatrix(list, block + "attn.out", dModel, queryWidth());
            if (mlp == Mlp.GATED) {
                addMatrix(list, block + "mlp.gate", mlpWidth, dModel);
            }
            addMatrix(list, block + "mlp.up", mlpWidth, dModel);
            addMatrix(list, block + "mlp.down", dModel, mlpWidth);
        }
        if (!weightTied) {
            list.add(new ParameterDescription("head", Shape.of(vocab, dModel), ParameterKind.HEAD));
        }
        return List.copyOf(list);
    }

    /** The number of elements of all parameters; a tied head counts once. */
    public long parameterCount() {
        long count = 0;
        for (ParameterDescription parameter : parameters()) {
            count += parameter.elements();
        }
        return count;
    }

    private static void addMatrix(List<ParameterDescription> list, String name, int outputs, int inputs) {
        list.add(new ParameterDescription(name, Shape.of(outputs, inputs), ParameterKind.MATRIX));
    }
}
