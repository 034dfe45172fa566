package dev.muonium.nano;

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
        WeightGradient qGradient,
        WeightGradient kvGradient,
        WeightGradient outGradient,
        WeightGradient upGradient,
        WeightGradient downGradient) {

    static BlockProducts of(LinearProducts linear, GptConfig config) {
        int d = config.dModel();
        int f = config.mlpWidth();
        int q = config.queryWidth();
        int kv = config.keyWidth();
        return new BlockProducts(
                linear.forward(q, d, false),
                linear.forward(kv, d, false),
                linear.forward(d, q, true),
                linear.forward(f, d, false),
                linear.forward(d, f, true),
                linear.backward(d, f, false),
                linear.backward(f, d, false),
                linear.backward(f, d, true),
                linear.backward(d, q, false),
                linear.backward(q, d, false),
                linear.backward(kv, d, true),
                linear.weightGradient(q, d),
                linear.weightGradient(kv, d),
                linear.weightGradient(d, q),
                linear.weightGradient(f, d),
                linear.weightGradient(d, f));
    }
}
