package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.device.Matmul;
import dev.muonium.device.MatmulSpec;
import dev.muonium.device.NetworkKernels;
import dev.muonium.device.Workers;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Segments;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.nano.GptConfig.Mlp;
import dev.muonium.optim.ParameterKind;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * The reference GPT of {@link GptConfig}: FP32 weights, gradients and activations off the heap, forward and backward.
 *
 * <p>Everything is allocated when it is made; forward and backward allocate nothing. All work is cut into tasks whose borders depend on shapes
 * alone, so results are the same bits with any number of threads.
 *
 * <p>Owns its memory and frees it in {@link #close()}. Not thread-safe.
 */
public final class Gpt implements AutoCloseable {
    /** Parts of the vocabulary, each of which one task adds gradients to. */
    private static final int VOCABULARY_PARTS = 16;

    private final GptConfig config;
    private final int batch;
    private final int rows;
    private final Workers workers;
    private final NetworkKernels kernels;
    private final OwnedTensors memory;
    private final List<GptParameter> parameters;
    private final MemorySegment embedding;
    private final MemorySegment embeddingGradient;
    private final MemorySegment head;
    private final MemorySegment headGradient;
    private final RowTiles tiles;
    private final MemorySegment tokens;
    private final MemorySegment embedded;
    private final MemorySegment embeddedRstd;
    private final MemorySegment lastRstd;
    private final SharedActivations shared;
    private final CausalAttention attention;
    private final GptBlock[] blocks;
    private final LossHead lossHead;
    private final Matmul oneRowOfLogits;
    private final MemorySegment rowOfLogits;
    private final float eps;
    private boolean closed;

    /**
     * Allocates and initializes a model.
     *
     * @param device where it lives and runs; outlives it
     * @param batch sequences of {@code config.context()} tokens that it takes at a time
     * @param seed of the initial weights
     */
    public Gpt(Device device, GptConfig config, int batch, long seed) {
        if (batch < 1 || (long) batch * config.context() > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("batch is " + batch + "; it must be at least 1, and " + config.context()
                    + " times it at most " + Integer.MAX_VALUE);
        }
        this.config = config;
        this.batch = batch;
        this.rows = batch * config.context();
        this.workers = device.workers();
        this.kernels = device.networkKernels();
        this.eps = (float) config.normEps();
        this.tiles = RowTiles.of(config.context());
        this.memory = new OwnedTensors(device);
        try {
            this.parameters = allocateParameters(seed);
            this.embedding = parameters.getFirst().weights().segment();
            this.embeddingGradient = parameters.getFirst().gradient().segment();
            this.head = config.weightTied()
                    ? embedding
                    : parameters.getLast().weights().segment();
            this.headGradient = config.weightTied()
                    ? embeddingGradient
                    : parameters.getLast().gradient().segment();
            this.tokens = memory.tensor(Purpose.DATA, "tokens", ElementType.I32, Shape.of(rows))
                    .segment();
            this.embedded = memory.activations("embedded", rows, config.dModel());
            this.embeddedRstd = memory.activations("embedded rstd", rows, 1);
            this.lastRstd = memory.activations("last rstd", rows, 1);
            this.shared = SharedActivations.allocate(memory, config, rows);
            this.attention = new CausalAttention(device, memory, config);
            this.blocks = buildBlocks(device);
            this.lossHead = new LossHead(device, memory, config, rows);
            this.oneRowOfLogits = device.matmul(MatmulSpec.f32(false, true, 1, config.vocab(), config.dModel()));
            this.rowOfLogits = memory.activations("logits of a row", 1, config.vocab());
        } catch (RuntimeException e) {
            memory.close();
            throw e;
        }
    }

    private List<GptParameter> allocateParameters(long seed) {
        List<GptParameter> list = new ArrayList<>();
        for (ParameterDescription description : config.parameters()) {
            String name = description.name();
            Tensor weights = memory.tensor(Purpose.WEIGHTS, name, ElementType.F32, description.shape());
            Tensor gradient =
                    memory.tensor(Purpose.GRADIENTS, "gradient of " + name, ElementType.F32, description.shape());
            InitialWeights.fill(workers, weights, InitialWeights.deviation(description, config), seed, list.size());
            list.add(new GptParameter(description, weights, gradient));
        }
        return List.copyOf(list);
    }

    private GptBlock[] buildBlocks(Device device) {
        BlockProducts products = BlockProducts.of(device, config, tiles, rows);
        MemorySegment rotaryTable = rotaryTable();
        Iterator<MemorySegment> weights = matrices(false);
        Iterator<MemorySegment> gradients = matrices(true);
        boolean gated = config.mlp() == Mlp.GATED;
        GptBlock[] built = new GptBlock[config.layers()];
        MemorySegment input = embedded;
        for (int layer = 0; layer < built.length; layer++) {
            built[layer] = new GptBlock(
                    kernels,
                    config,
                    input,
                    BlockWeights.take(weights, gated),
                    BlockWeights.take(gradients, gated),
                    products,
                    attention,
                    BlockActivations.allocate(memory, config, layer, rows),
                    shared,
                    rotaryTable);
            input = built[layer].output();
        }
        return built;
    }

    private Iterator<MemorySegment> matrices(boolean gradients) {
        return parameters.stream()
                .filter(p -> p.description().kind() == ParameterKind.MATRIX)
                .map(p -> (gradients ? p.gradient() : p.weights()).segment())
                .iterator();
    }

    /** Per position the cosines, then the sines, of the angles {@code position / base^(2i / headDim)}. */
    private MemorySegment rotaryTable() {
        int half = config.headDim() / 2;
        MemorySegment table = memory.activations("rotary table", config.context(), config.headDim());
        for (int position = 0; position < config.context(); position++) {
            for (int i = 0; i < half; i++) {
                double angle = position * Math.pow(config.ropeBase(), -(double) i / half);
                long at = (long) position * config.headDim() + i;
                table.setAtIndex(ValueLayout.JAVA_FLOAT, at, (float) Math.cos(angle));
                table.setAtIndex(ValueLayout.JAVA_FLOAT, at + half, (float) Math.sin(angle));
            }
        }
        return table;
    }

    /** The model's shape. */
    public GptConfig config() {
        return config;
    }

    /** Sequences of a batch. */
    public int batch() {
        return batch;
    }

    /** Every parameter, in the order of {@link GptConfig#parameters()}. */
    public List<GptParameter> parameters() {
        return parameters;
    }

    /** Sets all gradients to 0. */
    public void zeroGradients() {
        requireOpen();
        workers.run(
                parameters.size(),
                (task, worker) -> parameters.get(task).gradient().segment().fill((byte) 0));
    }

    /**
     * The loss of a batch: the mean over its tokens of {@code -ln p(target)}, in nats.
     *
     * @param input {@code batch × context} tokens (I32)
     * @param targets the token that follows each (I32)
     * @throws dev.muonium.NativeException if a token is not from 0 to {@code vocab - 1}
     */
    public double loss(MemorySegment input, MemorySegment targets) {
        takeBatch(input, targets);
        forward(batch);
        return lossHead.loss(shared.normalized(), head, targets);
    }

    /**
     * The loss of a batch as {@link #loss}, and its gradients, which are added to those that are there.
     *
     * @param gradientScale what gradients are multiplied by: {@code 1/k} averages those of {@code k} batches
     */
    public double lossAndGradients(MemorySegment input, MemorySegment targets, double gradientScale) {
        takeBatch(input, targets);
        forward(batch);
        double loss = lossHead.lossAndGradients(
                shared.normalized(), head, targets, gradientScale, shared.normalizedGradient(), headGradient);
        backward();
        return loss;
    }

    /**
     * The logits of the token that follows a text, behind the soft cap; from its last {@code context} tokens.
     *
     * @param text at least one token
     */
    public float[] nextTokenLogits(int[] text) {
        requireOpen();
        if (text.length == 0) {
            throw new IllegalArgumentException("the text has no token; a prediction needs at least one");
        }
        int known = Math.min(text.length, config.context());
        // Attention is causal: what stands behind the text changes nothing before it.
        tokens.fill((byte) 0);
        MemorySegment.copy(text, text.length - known, tokens, ValueLayout.JAVA_INT, 0, known);
        forward(1);
        oneRowOfLogits.run(0, shared.normalized(), (known - 1L) * config.dModel(), head, 0, rowOfLogits, 0);
        float[] logits = rowOfLogits.toArray(ValueLayout.JAVA_FLOAT);
        if (config.softCap() > 0) {
            for (int i = 0; i < logits.length; i++) {
                logits[i] = (float) (config.softCap() * Math.tanh(logits[i] / config.softCap()));
            }
        }
        return logits;
    }

    /** From {@code tokens} to the normalized last rows, in {@code shared.normalized}. */
    private void forward(int sequences) {
        int rowTasks = tiles.tasks(sequences);
        int attentionTasks = attention.tasks(sequences);
        workers.run(rowTasks, (task, worker) -> {
            long begin = tiles.begin(task);
            embed(begin, tiles.rows(task));
            blocks[0].forwardToAttention(worker, begin, tiles.rows(task));
        });
        for (int layer = 0; layer < blocks.length; layer++) {
            GptBlock block = blocks[layer];
            GptBlock next = layer + 1 < blocks.length ? blocks[layer + 1] : null;
            workers.run(attentionTasks, block::forwardAttention);
            workers.run(rowTasks, (task, worker) -> {
                long begin = tiles.begin(task);
                block.forwardFromAttention(worker, begin, tiles.rows(task));
                if (next != null) {
                    next.forwardToAttention(worker, begin, tiles.rows(task));
                } else {
                    kernels.rmsNorm(
                            ElementType.F32,
                            block.output(),
                            shared.normalized(),
                            lastRstd,
                            eps,
                            config.dModel(),
                            begin,
                            begin + tiles.rows(task));
                }
            });
        }
    }

    private void embed(long begin, int count) {
        kernels.gatherRows(
                ElementType.F32, embedding, tokens, embedded, config.vocab(), config.dModel(), begin, begin + count);
        kernels.rmsNorm(ElementType.F32, embedded, embedded, embeddedRstd, eps, config.dModel(), begin, begin + count);
    }

    /** From the gradient of the normalized last rows, in {@code shared.normalizedGradient}. */
    private void backward() {
        int rowTasks = tiles.tasks(batch);
        workers.run(rowTasks, (task, worker) -> {
            long begin = tiles.begin(task);
            kernels.rmsNormBackward(
                    ElementType.F32,
                    shared.normalizedGradient(),
                    blocks[blocks.length - 1].output(),
                    lastRstd,
                    null,
                    shared.gradient(),
                    config.dModel(),
                    begin,
                    begin + tiles.rows(task));
        });
        for (int layer = blocks.length - 1; layer >= 0; layer--) {
            GptBlock block = blocks[layer];
            workers.run(
                    rowTasks, (task, worker) -> block.backwardToAttention(worker, tiles.begin(task), tiles.rows(task)));
            workers.run(
                    block.attentionAndOuterTasks(batch),
                    (task, worker) -> block.attentionAndOuterGradients(task, worker, batch));
            workers.run(
                    rowTasks,
                    (task, worker) -> block.backwardFromAttention(worker, tiles.begin(task), tiles.rows(task)));
            workers.run(block.innerTasks(), block::innerGradients);
        }
        embeddingBackward(rowTasks);
    }

    private void embeddingBackward(int rowTasks) {
        MemorySegment raw = shared.normalized();
        workers.run(rowTasks, (task, worker) -> {
            long begin = tiles.begin(task);
            long end = begin + tiles.rows(task);
            kernels.gatherRows(ElementType.F32, embedding, tokens, raw, config.vocab(), config.dModel(), begin, end);
            kernels.rmsNormBackward(
                    ElementType.F32,
                    shared.gradient(),
                    raw,
                    embeddedRstd,
                    null,
                    shared.gradient(),
                    config.dModel(),
                    begin,
                    end);
        });
        workers.run(
                VOCABULARY_PARTS,
                (task, worker) -> kernels.scatterAddRows(
                        ElementType.F32,
                        shared.gradient(),
                        tokens,
                        rows,
                        embeddingGradient,
                        ElementType.F32,
                        config.dModel(),
                        (long) task * config.vocab() / VOCABULARY_PARTS,
                        (task + 1L) * config.vocab() / VOCABULARY_PARTS));
    }

    private void takeBatch(MemorySegment input, MemorySegment targets) {
        requireOpen();
        Segments.requireOffHeap("tokens", input, ElementType.I32, rows);
        Segments.requireOffHeap("targets", targets, ElementType.I32, rows);
        MemorySegment.copy(input, 0, tokens, 0, tokens.byteSize());
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the model was used after it was closed");
        }
    }

    /** Frees weights, gradients and activations. A second call does nothing. */
    @Override
    public void close() {
        closed = true;
        memory.close();
    }
}
