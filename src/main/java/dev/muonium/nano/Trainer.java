package dev.muonium.nano;

import dev.muonium.checkpoint.Checkpoint;
import dev.muonium.checkpoint.CheckpointSaver;
import dev.muonium.checkpoint.TrainingState;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Ledger;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.ResidentMemory;
import dev.muonium.memory.Shape;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.StepReport;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Trains a {@link Gpt} on a text: the matrices of its blocks with Muon (or AdamW), embedding and head with AdamW.
 *
 * <p>The same preset, text and seed give the same losses, bit by bit, on one machine and tier, with any number of threads.
 *
 * <p>Owns model and optimizer, and closes them; device and text are the caller's and outlive it. Not thread-safe.
 */
public final class Trainer implements AutoCloseable {
    private static final double NANOS_PER_MILLI = 1e6;

    /** In a checkpoint, beside the preset. */
    private static final String TEXT = "text_sha256";

    private final Device device;
    private final Preset preset;
    private final GptConfig model;
    private final TrainConfig training;
    private final Precision precision;
    private final GpuMemory gpuMemory;
    private final Tokenizer tokenizer;
    private final TextData data;
    private final OwnedTensors batches;
    private final MemorySegment tokens;
    private final MemorySegment targets;
    private final Gpt gpt;
    private final GptOptimizer optimizer;
    private @Nullable UpdateRecorder recorder;
    private int step;

    /**
     * Makes the model and the optimizer.
     *
     * @param tokenizer of the preset
     * @param data a text of the same tokens, in sequences of the model's context
     * @throws IllegalArgumentException if tokenizer or text do not fit the model, or the device cannot compute in its precision
     */
    public Trainer(Device device, Preset preset, Tokenizer tokenizer, TextData data) {
        this.device = device;
        this.preset = preset;
        this.model = preset.model();
        this.training = preset.training();
        this.precision = preset.precisionOn(device);
        this.gpuMemory = new GpuMemory(device);
        this.tokenizer = tokenizer;
        this.data = data;
        if (tokenizer.vocab() != model.vocab()) {
            throw new IllegalArgumentException("the tokenizer '" + tokenizer.name() + "' has " + tokenizer.vocab()
                    + " tokens and the model " + model.vocab() + "; both must be the same");
        }
        if (data.context() != model.context()) {
            throw new IllegalArgumentException("the text is cut into sequences of " + data.context()
                    + " tokens and the model takes " + model.context() + "; both must be the same");
        }
        this.batches = new OwnedTensors(new StagingAllocator(device));
        Shape shape = Shape.of(training.batch(), model.context());
        Gpt madeGpt = null;
        try {
            this.tokens = batches.tensor(Purpose.DATA, "batch", ElementType.I32, shape)
                    .segment();
            this.targets = batches.tensor(Purpose.DATA, "targets", ElementType.I32, shape)
                    .segment();
            madeGpt = new Gpt(
                    device, model, training.batch(), GptOptions.of(precision, training.techniques()), training.seed());
            this.gpt = madeGpt;
            this.optimizer = GptOptimizer.build(device, preset, precision, gpt.parameters());
        } catch (RuntimeException e) {
            if (madeGpt != null) {
                madeGpt.close();
            }
            batches.close();
            throw e;
        }
    }

    /** The element types of weights, gradients and activations. */
    public Precision precision() {
        return precision;
    }

    /** The model that is trained. */
    public Gpt gpt() {
        return gpt;
    }

    /** The optimizer, for example to {@link Optimizer#describe} it. */
    public Optimizer optimizer() {
        return optimizer.optimizer();
    }

    /** The number of steps tried so far, skipped ones included. */
    public int steps() {
        return step;
    }

    /** Tokens of a step. */
    public long tokensPerStep() {
        return (long) training.gradAccumSteps() * training.batch() * model.context();
    }

    /** One optimizer step over {@code grad_accum_steps} batches. After the last step of the preset it goes on at the final learning rate. */
    public TrainStep trainStep() {
        long begin = System.nanoTime();
        gpt.zeroGradients();
        optimizer.zero();
        double loss = 0;
        for (int micro = 0; micro < training.gradAccumSteps(); micro++) {
            data.trainingBatch(training.seed(), step, micro, training.batch(), tokens, targets);
            loss += gpt.lossAndGradients(tokens, targets, 1.0 / training.gradAccumSteps(), optimizer.hook());
        }
        if (training.matrixOptimizer() == MatrixOptimizer.MUON) {
            optimizer.optimizer().group(GptOptimizer.MATRICES).momentum(training.momentum(step));
        }
        long beforeOptimizer = System.nanoTime();
        StepReport report = recorder == null
                ? optimizer.step()
                : recorder.step(step + 1, device, optimizer.optimizer(), gpt.parameters());
        long end = System.nanoTime();
        step++;
        return new TrainStep(
                step,
                loss / training.gradAccumSteps(),
                report.gradientNorm(),
                !report.taken(),
                (end - begin) / NANOS_PER_MILLI,
                (end - beforeOptimizer) / NANOS_PER_MILLI);
    }

    /**
     * Records what Muon orthogonalizes from now on.
     *
     * @throws IllegalArgumentException if Muon does not get whole matrices, or the device is not a CPU
     */
    public void record(UpdateRecorder newRecorder) {
        newRecorder.requireRecordable(device, training);
        recorder = newRecorder;
    }

    /** What a checkpoint of this run holds: weights and the optimizer's state. The order of the text and the seeds follow from the step. */
    public TrainingState state() {
        TrainingState state = new TrainingState(device);
        for (GptParameter parameter : gpt.parameters()) {
            state.weights(parameter.name(), parameter.weights());
        }
        optimizer.addTo(state);
        return state;
    }

    /** Saves a checkpoint of this step, with the preset and the text's digest. */
    public void save(CheckpointSaver saver) {
        Map<String, String> values = Configuration.of(preset);
        values.put(TEXT, data.sha256());
        saver.save(step, values, state());
    }

    /**
     * Goes on where a checkpoint was saved, with the same bits.
     *
     * @throws IllegalArgumentException if it is one of another configuration, and then the message names the keys, or of another text; nothing was changed
     * @throws dev.muonium.checkpoint.CheckpointException if it does not fit the model; nothing was changed
     */
    public void resume(Checkpoint checkpoint) {
        Configuration.requireSame(checkpoint.values(), preset);
        requireSameText(checkpoint);
        state().restore(checkpoint);
        step = Math.toIntExact(checkpoint.step());
    }

    private void requireSameText(Checkpoint checkpoint) {
        String there = checkpoint.values().getOrDefault(TEXT, "none");
        if (!there.equals(data.sha256())) {
            throw new IllegalArgumentException("the checkpoint was trained on another text, with the SHA-256 " + there
                    + " and not " + data.sha256() + "; resume with the same text, or save to another folder");
        }
    }

    /** Mean loss on {@code eval_batches} fixed batches of the held-out text, in nats per token. */
    public double validate() {
        double sum = 0;
        for (int i = 0; i < training.evalBatches(); i++) {
            data.validationBatch(i, training.evalBatches(), training.batch(), tokens, targets);
            sum += gpt.loss(tokens, targets);
        }
        return sum / training.evalBatches();
    }

    /**
     * Text that the model goes on with.
     *
     * @param prompt what it begins with; not empty
     * @param count tokens to draw
     * @param temperature logits are divided by it; 0 takes the likeliest token
     * @param topK how many of the likeliest tokens are drawn from; 0 for all
     * @return the prompt and what follows; the same for the same weights and seed
     */
    public String sample(String prompt, int count, double temperature, int topK) {
        Sampler sampler = new Sampler(temperature, topK, training.seed());
        int[] known = tokenizer.encode(prompt.getBytes(StandardCharsets.UTF_8));
        if (known.length == 0) {
            throw new IllegalArgumentException("the prompt is empty; a sample begins with at least one token");
        }
        int[] text = Arrays.copyOf(known, known.length + count);
        for (int i = known.length; i < text.length; i++) {
            text[i] = sampler.next(gpt.nextTokenLogits(Arrays.copyOf(text, i)), i);
        }
        return tokenizer.decode(text);
    }

    /**
     * Takes the steps of the preset that are left, validating every {@code eval_every} steps and at the end. Bytes in the result are
     * those of the device's ledger, so nothing else should live on the device.
     *
     * @param name of the run, for reports
     */
    public RunResult run(String name, TrainingListener listener) {
        return run(name, listener, null);
    }

    /**
     * The same, and saves checkpoints as the preset says: every {@code checkpoint_every} steps and at the end.
     *
     * @param saver null to save none; the caller closes it
     */
    public RunResult run(String name, TrainingListener listener, @Nullable CheckpointSaver saver) {
        List<Double> losses = new ArrayList<>();
        List<Double> stepMs = new ArrayList<>();
        List<Double> optimizerMs = new ArrayList<>();
        long skipped = 0;
        while (step < training.steps()) {
            TrainStep done = trainStep();
            losses.add(done.loss());
            stepMs.add(done.milliseconds());
            optimizerMs.add(done.optimizerMilliseconds());
            skipped += done.skipped() ? 1 : 0;
            gpuMemory.look();
            listener.stepped(done);
            if (saver != null && isCheckpoint()) {
                save(saver);
            }
            if (training.evalEvery() > 0 && step % training.evalEvery() == 0 && step < training.steps()) {
                listener.validated(step, validate());
            }
        }
        double valLoss = validate();
        gpuMemory.look();
        listener.validated(step, valLoss);
        double median = median(stepMs);
        Ledger ledger = device.ledger();
        return new RunResult(
                name,
                ledger.bytes(Purpose.OPTIMIZER_STATE),
                optimizer.optimizer().workspaceBytes(),
                optimizer.optimizer().stateBytesByOptimizer(),
                ledger.bytes(Purpose.WEIGHTS),
                ledger.bytes(Purpose.MASTER_WEIGHTS),
                ledger.bytes(Purpose.GRADIENTS),
                ledger.bytes(Purpose.ACTIVATIONS),
                ledger.peak(),
                ResidentMemory.peakBytes(),
                gpuMemory.peakGrowth(),
                gpuMemory.peakUse(),
                tokensPerStep() * 1000.0 / median,
                median,
                median(optimizerMs),
                losses,
                valLoss,
                skipped,
                peaks(ledger));
    }

    private static Map<Purpose, Long> peaks(Ledger ledger) {
        Map<Purpose, Long> peaks = new EnumMap<>(Purpose.class);
        for (Purpose purpose : Purpose.values()) {
            peaks.put(purpose, ledger.peak(purpose));
        }
        return peaks;
    }

    private boolean isCheckpoint() {
        int every = training.saving().every();
        return step == training.steps() || (every > 0 && step % every == 0);
    }

    /** The middle of the values, or the mean of both middle ones; NaN without any. */
    static double median(List<Double> values) {
        if (values.isEmpty()) {
            return Double.NaN;
        }
        double[] sorted =
                values.stream().mapToDouble(Double::doubleValue).sorted().toArray();
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    /** Frees model, optimizer and batches. A second call does nothing. */
    @Override
    public void close() {
        optimizer.close();
        gpt.close();
        batches.close();
    }
}
