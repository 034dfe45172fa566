package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.device.Matmul;
import dev.muonium.device.MatmulSpec;
import dev.muonium.device.NetworkKernels;
import dev.muonium.device.Workers;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Segments;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.nano.GptConfig.Mlp;
import dev.muonium.optim.ParameterKind;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The reference GPT of {@link GptConfig}: weights, gradients and activations off the heap in the element types of a {@link Precision}, forward
 * and backward, on the CPU or a GPU.
 *
 * <p>Everything is allocated when it is made; forward and backward allocate nothing. All work is cut into tasks whose borders depend on shapes
 * alone, so results are the same bits with any number of threads. On a GPU a batch is put into the stream as a whole, forward and backward; the
 * host waits once, for the losses.
 *
 * <p>Owns its memory and frees it in {@link #close()}. Not thread-safe.
 */
public final class Gpt implements AutoCloseable {
    /** Parts of the vocabulary, each of which one task adds gradients to. */
    private static final int VOCABULARY_PARTS = 16;

    private final Device device;
    private final GptConfig config;
    private final GptOptions options;
    private final Precision precision;
    private final ElementType type;
    private final int batch;
    private final int rows;
    private final Grain grain;
    private final Workers workers;
    private final NetworkKernels kernels;
    private final OwnedTensors memory;
    private final GptTensors tensors;
    private final SharedActivations shared;
    private final MemorySegment embedding;
    private final MemorySegment embeddingGradient;
    private final MemorySegment head;
    private final MemorySegment headGradient;
    private final RowTiles tiles;
    private final Attention attention;
    private final GptBlock[] blocks;
    private final LossHead lossHead;
    private final Matmul oneRowOfLogits;
    private final float eps;
    private boolean closed;

    /** A model in the precision that suits the device; see {@link #Gpt(Device, GptConfig, int, Precision, long)}. */
    public Gpt(Device device, GptConfig config, int batch, long seed) {
        this(device, config, batch, PrecisionChoice.AUTO.on(device), seed);
    }

    /**
     * Allocates and initializes a model.
     *
     * @param device where it lives and runs; outlives it
     * @param batch sequences of {@code config.context()} tokens that it takes at a time
     * @param precision the types of weights, gradients and activations
     * @param seed of the initial weights
     * @throws IllegalArgumentException if the device cannot compute such a model; one sentence says why
     */
    public Gpt(Device device, GptConfig config, int batch, Precision precision, long seed) {
        this(device, config, batch, precision, seed, Grain.of(device));
    }

    /** The same, with options; see {@link #Gpt(Device, GptConfig, int, Precision, long)}. */
    public Gpt(Device device, GptConfig config, int batch, GptOptions options, long seed) {
        this(device, config, batch, options, seed, Grain.of(device));
    }

    Gpt(Device device, GptConfig config, int batch, Precision precision, long seed, Grain grain) {
        this(device, config, batch, GptOptions.of(precision), seed, grain);
    }

    Gpt(Device device, GptConfig config, int batch, GptOptions options, long seed, Grain grain) {
        Precision precision = options.precision();
        if (batch < 1 || (long) batch * config.context() > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("batch is " + batch + "; it must be at least 1, and " + config.context()
                    + " times it at most " + Integer.MAX_VALUE);
        }
        precision.requireOn(device);
        if (grain == Grain.WHOLE) {
            FusedAttention.requireHeadDim(config);
        }
        this.device = device;
        this.config = config;
        this.options = options;
        this.precision = precision;
        this.type = precision.compute();
        this.batch = batch;
        this.rows = batch * config.context();
        this.grain = grain;
        this.workers = device.workers();
        this.kernels = device.networkKernels();
        this.eps = (float) config.normEps();
        this.tiles = RowTiles.of(grain, config.context(), batch);
        this.memory = new OwnedTensors(device);
        try {
            this.tensors = GptTensors.allocate(
                    memory, config, batch, options, grain, device.fp8().available());
            this.shared = tensors.shared();
            List<GptParameter> parameters = tensors.parameters();
            InitialWeights.fill(device, config, parameters, seed);
            tensors.rotaryTable().copyFrom(rotaryTable());
            this.embedding = parameters.getFirst().weights().segment();
            this.embeddingGradient = parameters.getFirst().gradient().segment();
            this.head = config.weightTied()
                    ? embedding
                    : parameters.getLast().weights().segment();
            this.headGradient = config.weightTied()
                    ? embeddingGradient
                    : parameters.getLast().gradient().segment();
            this.attention = grain == Grain.WHOLE
                    ? new FusedAttention(device, config, precision)
                    : new CausalAttention(device, memory, config);
            this.blocks = buildBlocks();
            this.lossHead = new LossHead(device, config, precision, grain, tensors.head(), hostLosses(), rows);
            this.oneRowOfLogits = device.matmul(
                    MatmulSpec.dense(type, ElementType.F32, false, true, 1, config.vocab(), config.dModel()));
        } catch (RuntimeException e) {
            memory.close();
            throw e;
        }
    }

    private MemorySegment hostLosses() {
        return memory.staging(device, "losses on the host", ElementType.F64, Shape.of(rows));
    }

    private GptBlock[] buildBlocks() {
        LinearProducts linear = new LinearProducts(device, precision, grain, tiles, rows, tensors.fp8());
        BlockProducts products = BlockProducts.of(linear, config);
        Iterator<MemorySegment> weights = matrices(false);
        Iterator<MemorySegment> gradients = matrices(true);
        boolean gated = config.mlp() == Mlp.GATED;
        GptBlock[] built = new GptBlock[config.layers()];
        List<MemorySegment> streams = tensors.streams().streams();
        for (int layer = 0; layer < built.length; layer++) {
            built[layer] = new GptBlock(
                    device,
                    type,
                    config,
                    streams.get(layer),
                    streams.get(layer + 1),
                    BlockWeights.take(weights, gated),
                    BlockWeights.take(gradients, gated),
                    products,
                    attention,
                    tensors.streams().blocks().get(layer),
                    shared,
                    tensors.rotaryTable().segment());
        }
        return built;
    }

    private Iterator<MemorySegment> matrices(boolean gradients) {
        return tensors.parameters().stream()
                .filter(p -> p.description().kind() == ParameterKind.MATRIX)
                .map(p -> (gradients ? p.gradient() : p.weights()).segment())
                .iterator();
    }

    /** Per position the cosines, then the sines, of the angles {@code position / base^(2i / headDim)}. */
    private float[] rotaryTable() {
        int half = config.headDim() / 2;
        float[] table = new float[Math.multiplyExact(config.context(), config.headDim())];
        for (int position = 0; position < config.context(); position++) {
            for (int i = 0; i < half; i++) {
                double angle = position * Math.pow(config.ropeBase(), -(double) i / half);
                int at = position * config.headDim() + i;
                table[at] = (float) Math.cos(angle);
                table[at + half] = (float) Math.sin(angle);
            }
        }
        return table;
    }

    /** The model's shape. */
    public GptConfig config() {
        return config;
    }

    /** The element types of weights, gradients and activations. */
    public Precision precision() {
        return precision;
    }

    /** Sequences of a batch. */
    public int batch() {
        return batch;
    }

    /** Every parameter, in the order of {@link GptConfig#parameters()}. */
    public List<GptParameter> parameters() {
        return tensors.parameters();
    }

    /** How the model holds what it computes. */
    public GptOptions options() {
        return options;
    }

    /**
     * How linear layers are multiplied, for reports: in FP8 where that was asked for, the model computes in BF16 and the device has FP8
     * products; else in the model's precision, and why. Embedding, head and attention are not in FP8.
     *
     * @return empty where no FP8 was asked for
     */
    public Optional<String> describeFp8() {
        if (!options.fp8Activations() && !options.fp8Gradients()) {
            return Optional.empty();
        }
        if (device.fp8().available() && type != ElementType.BF16) {
            return Optional.of("FP32 products instead of FP8: the model's precision is f32");
        }
        return Optional.of(device.fp8().sentence());
    }

    /** Sets all gradients to 0; transient ones are, whenever they begin. */
    public void zeroGradients() {
        requireOpen();
        DeviceMemory on = device.memory();
        workers.run(tensors.parameters().size(), (task, worker) -> {
            GptParameter parameter = tensors.parameters().get(task);
            if (tensors.blockGradients() == null || parameter.description().kind() != ParameterKind.MATRIX) {
                on.zero(parameter.gradient().segment(), 0, parameter.gradient().byteSize());
            }
        });
    }

    /**
     * The loss of a batch: the mean over its tokens of {@code -ln p(target)}, in nats.
     *
     * @param input {@code batch × context} tokens (I32)
     * @param targets the token that follows each (I32)
     * @throws IllegalArgumentException if a token is not from 0 to {@code vocab - 1}
     */
    public double loss(MemorySegment input, MemorySegment targets) {
        takeBatch(input, targets);
        forward(batch, false);
        return lossHead.loss(shared.normalized(), head, tensors.targets());
    }

    /**
     * The loss of a batch as {@link #loss}, and its gradients, which are added to those that are there.
     *
     * @param gradientScale what gradients are multiplied by: {@code 1/k} averages those of {@code k} batches
     */
    public double lossAndGradients(MemorySegment input, MemorySegment targets, double gradientScale) {
        return lossAndGradients(input, targets, gradientScale, null);
    }

    /**
     * The loss of a batch and its gradients, as {@link #lossAndGradients(MemorySegment, MemorySegment, double)}.
     *
     * @param hook gets the gradient of each block's matrices when it is complete; needed where gradients are transient, null for none
     * @throws IllegalArgumentException if there is no hook, and gradients are transient
     */
    public double lossAndGradients(
            MemorySegment input, MemorySegment targets, double gradientScale, @Nullable GradientHook hook) {
        if (hook == null && tensors.blockGradients() != null) {
            throw new IllegalArgumentException(
                    "the gradients of this model's blocks are transient; give a hook that takes them");
        }
        takeBatch(input, targets);
        forward(batch, true);
        lossHead.gradients(
                shared.normalized(), head, tensors.targets(), gradientScale, shared.normalizedGradient(), headGradient);
        backward(hook);
        return lossHead.meanLoss();
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
        try (Arena arena = Arena.ofConfined()) {
            // Attention is causal: what stands behind the text changes nothing before it.
            MemorySegment host = arena.allocate(ValueLayout.JAVA_INT, config.context());
            MemorySegment.copy(text, text.length - known, host, ValueLayout.JAVA_INT, 0, known);
            requireTokens("token", host, config.context());
            device.memory().copyIn(host, 0, tensors.tokens(), 0, host.byteSize());
        }
        forward(1, false);
        Tensor row = tensors.head().rowOfLogits();
        oneRowOfLogits.run(0, shared.normalized(), (known - 1L) * config.dModel(), head, 0, row.segment(), 0);
        float[] logits = row.toFloatArray();
        if (config.softCap() > 0) {
            for (int i = 0; i < logits.length; i++) {
                logits[i] = (float) (config.softCap() * Math.tanh(logits[i] / config.softCap()));
            }
        }
        return logits;
    }

    /**
     * From {@code tokens} to the normalized last rows, in {@code shared.normalized}.
     *
     * @param forBackward whether to keep what backward needs
     */
    private void forward(int sequences, boolean forBackward) {
        int rowTasks = tiles.tasks(sequences);
        workers.run(rowTasks, (task, worker) -> embed(tiles.begin(task), tiles.rows(task, sequences)));
        for (BlockSegment segment : tensors.streams().segments()) {
            forward(segment, sequences, true);
            if (forBackward && segment.coded() != null) {
                segment.coded().save(device);
            }
        }
        workers.run(rowTasks, (task, worker) -> {
            long begin = tiles.begin(task);
            kernels.rmsNorm(
                    type,
                    tensors.lastStream(),
                    shared.normalized(),
                    tensors.lastRstd(),
                    eps,
                    config.dModel(),
                    begin,
                    begin + tiles.rows(task, sequences));
        });
    }

    /**
     * From the residual stream before a segment to that behind it.
     *
     * @param toItsEnd whether that is wanted, and not only what backward through the segment needs
     */
    private void forward(BlockSegment segment, int sequences, boolean toItsEnd) {
        int rowTasks = tiles.tasks(sequences);
        int attentionTasks = attention.tasks(sequences);
        workers.run(
                rowTasks,
                (task, worker) -> blocks[segment.first()].forwardToAttention(
                        worker, tiles.begin(task), tiles.rows(task, sequences)));
        for (int layer = segment.first(); layer < segment.end(); layer++) {
            GptBlock block = blocks[layer];
            GptBlock next = layer + 1 < segment.end() ? blocks[layer + 1] : null;
            workers.run(attentionTasks, (task, worker) -> block.forwardAttention(task, worker, sequences));
            workers.run(rowTasks, (task, worker) -> {
                long begin = tiles.begin(task);
                int rowsOfTask = tiles.rows(task, sequences);
                block.forwardFromAttention(worker, begin, rowsOfTask, toItsEnd || next != null);
                if (next != null) {
                    next.forwardToAttention(worker, begin, rowsOfTask);
                }
            });
        }
    }

    private void embed(long begin, long count) {
        MemorySegment embedded = tensors.streams().streams().getFirst();
        long end = begin + count;
        kernels.gatherRows(type, embedding, tensors.tokens(), embedded, config.vocab(), config.dModel(), begin, end);
        kernels.rmsNorm(type, embedded, embedded, tensors.embeddedRstd(), eps, config.dModel(), begin, end);
    }

    /** From the gradient of the normalized last rows, in {@code shared.normalizedGradient}. */
    private void backward(@Nullable GradientHook hook) {
        int rowTasks = tiles.tasks(batch);
        workers.run(rowTasks, (task, worker) -> {
            long begin = tiles.begin(task);
            kernels.rmsNormBackward(
                    type,
                    shared.normalizedGradient(),
                    tensors.lastStream(),
                    tensors.lastRstd(),
                    null,
                    shared.gradient(),
                    config.dModel(),
                    begin,
                    begin + tiles.rows(task, batch));
        });
        List<BlockSegment> segments = tensors.streams().segments();
        for (BlockSegment segment : segments.reversed()) {
            if (segment.coded() != null) {
                segment.coded().restore(device);
            }
            if (segment.recomputed()) {
                forward(segment, batch, false);
            }
            for (int layer = segment.end() - 1; layer >= segment.first(); layer--) {
                backward(layer, rowTasks);
                if (hook != null) {
                    tensors.matricesOf(layer).forEach(hook::ready);
                }
                if (layer > 0 && tensors.gradientStream() != null) {
                    tensors.gradientStream().save(device);
                    tensors.gradientStream().restore(device);
                }
            }
        }
        embeddingBackward(rowTasks);
    }

    private void backward(int layer, int rowTasks) {
        GptBlock block = blocks[layer];
        Tensor blockGradients = tensors.blockGradients();
        if (blockGradients != null) {
            device.memory().zero(blockGradients.segment(), 0, blockGradients.byteSize());
        }
        workers.run(
                rowTasks,
                (task, worker) -> block.backwardToAttention(worker, tiles.begin(task), tiles.rows(task, batch)));
        workers.run(
                block.attentionAndOuterTasks(batch),
                (task, worker) -> block.attentionAndOuterGradients(task, worker, batch));
        workers.run(
                rowTasks,
                (task, worker) -> block.backwardFromAttention(worker, tiles.begin(task), tiles.rows(task, batch)));
        workers.run(block.innerTasks(), block::innerGradients);
    }

    private void embeddingBackward(int rowTasks) {
        MemorySegment raw = shared.normalized();
        workers.run(rowTasks, (task, worker) -> {
            long begin = tiles.begin(task);
            long end = begin + tiles.rows(task, batch);
            kernels.gatherRows(type, embedding, tensors.tokens(), raw, config.vocab(), config.dModel(), begin, end);
            kernels.rmsNormBackward(
                    type,
                    shared.gradient(),
                    raw,
                    tensors.embeddedRstd(),
                    null,
                    shared.gradient(),
                    config.dModel(),
                    begin,
                    end);
        });
        int parts = grain == Grain.WHOLE ? 1 : VOCABULARY_PARTS;
        workers.run(
                parts,
                (task, worker) -> kernels.scatterAddRows(
                        type,
                        shared.gradient(),
                        tensors.tokens(),
                        rows,
                        embeddingGradient,
                        precision.gradients(),
                        config.dModel(),
                        (long) task * config.vocab() / parts,
                        (task + 1L) * config.vocab() / parts));
    }

    private void takeBatch(MemorySegment input, MemorySegment following) {
        requireOpen();
        Segments.requireOffHeap("tokens", input, ElementType.I32, rows);
        Segments.requireOffHeap("targets", following, ElementType.I32, rows);
        requireTokens("token", input, rows);
        requireTokens("target", following, rows);
        long tokenBytes = (long) rows * ElementType.I32.byteSize();
        DeviceMemory on = device.memory();
        on.copyIn(input, 0, tensors.tokens(), 0, tokenBytes);
        on.copyIn(following, 0, tensors.targets(), 0, tokenBytes);
    }

    /** Kernels index with tokens, and on a GPU nobody could look at them any more. */
    private void requireTokens(String what, MemorySegment tokens, long count) {
        for (long i = 0; i < count; i++) {
            int token = tokens.getAtIndex(ValueLayout.JAVA_INT, i);
            if (token < 0 || token >= config.vocab()) {
                throw new IllegalArgumentException(
                        what + " " + i + " is " + token + "; it must be from 0 to " + (config.vocab() - 1));
            }
        }
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
