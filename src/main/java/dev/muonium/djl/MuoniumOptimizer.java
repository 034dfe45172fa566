package dev.muonium.djl;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.nn.Block;
import ai.djl.training.tracker.Tracker;
import dev.muonium.MuoniumException;
import dev.muonium.NonFiniteGradientException;
import dev.muonium.checkpoint.OptimizerFile;
import dev.muonium.checkpoint.Safetensors;
import dev.muonium.device.Device;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.NonFinitePolicy;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StatePlacement;
import dev.muonium.optim.StepReport;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.UnaryOperator;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * An optimizer for DJL's {@code Trainer}: Muon for hidden matrices, AdamW for everything else, with state in FP32 or 8 bits. It works on the
 * memory of the arrays themselves.
 *
 * <pre>{@code
 * MuoniumOptimizer optimizer = MuoniumOptimizer.builder(model.getBlock())
 *         .optMuon(Muon.defaults().learningRate(0.02).state(StateFormat.INT8))
 *         .optAdamW(AdamW.defaults().learningRate(3e-3).state(StateFormat.INT8))
 *         .optClipGlobalNorm(1.0)
 *         .build();
 * TrainingConfig config = new DefaultTrainingConfig(loss).optOptimizer(optimizer);
 * }</pre>
 *
 * <p><b>Routing.</b> Weights with two axes go to Muon, and those with more that are declared with {@link Builder#optConvolution} or {@link Builder#optStack}; {@link
 * Builder#optSplit} cuts fused matrices. To AdamW go the parameters of embedding blocks (by the name of their class), what is
 * no weight or has another number of axes, and the head, which is the last matrix of the block unless {@link Builder#optHead} or {@link
 * Builder#optNoHead} says otherwise. {@link #describe()} shows all of it with the reasons, and so does the log before the first step.
 *
 * <p><b>A step.</b> DJL calls {@link #update} once for each parameter. Clipping by the global norm and leaving out a step whose
 * gradients are not finite need all of them, so a step is taken in the call in which the last parameter arrives that is not frozen; before that nothing is changed. Then the gradients that PyTorch
 * keeps with the weights are set to 0, as DJL expects of an optimizer, also if the step was left out. Where a parameter arrives again before all others have, the step that was begun cannot be finished:
 * that is an exception which names those that are missing. A step that is unfinished when this is closed is logged.
 *
 * <p><b>Memory.</b> Weights and gradients, FP32, are read and written where PyTorch has them; the duplicates of gradients that DJL's parameter server makes
 * are not kept. An array whose elements do not lie one behind the other is copied in every step, which is logged once. State and
 * workspace are this object's, outside the heap, counted in the device's ledger; {@link #close} frees them, which DJL does not call.
 *
 * <p><b>On a GPU</b> arrays are handed to the CUDA device by their addresses. PyTorch works in CUDA's default stream and Muonium in one of its own, so the host waits
 * for the one before a step and for the other at its end. One GPU at a time: mirrored parameters are refused.
 *
 * <p><b>State</b> is keyed by the names of {@code block.getParameters()}, since DJL's ids differ from run to run. A run that is resumed by {@link
 * #load} has the same bits as one without a break, if DJL restores the same weights and the same parameters are trained.
 *
 * <p>One thread at a time; a call during another one is an {@link IllegalStateException}. Bad input leaves weights and state as they
 * were and drops the step that was begun.
 */
// Not "requires transitive": javac would ask every module that requires this library for DJL.
@SuppressWarnings("exports")
public final class MuoniumOptimizer extends ai.djl.training.optimizer.Optimizer implements AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(MuoniumOptimizer.class);

    private final Block block;
    private final Declared declared;
    private final Settings settings;
    private final AtomicBoolean busy = new AtomicBoolean();

    private final Arrivals arrivals = new Arrivals();
    private @Nullable Routing routing;
    private @Nullable TorchAbi abi;
    private @Nullable Device device;
    private @Nullable BoundOptimizer bound;
    private @Nullable Safetensors pending;
    private @Nullable StepReport lastStep;
    private boolean closed;

    private MuoniumOptimizer(Builder builder) {
        super(builder);
        if (clipGrad > 0) {
            throw new IllegalArgumentException("optClipGrad(" + clipGrad + ") clips each element by itself, which"
                    + " Muonium does not do; clip the norm of all gradients with optClipGlobalNorm");
        }
        this.block = builder.block;
        this.settings = builder.settings();
        this.declared = builder.declared();
        Routing.of(block, declared); // says now what does not fit
    }

    /**
     * Begins an optimizer for the parameters of a block, which may be initialized later.
     *
     * @throws MuoniumException if DJL's PyTorch engine is missing
     */
    public static Builder builder(Block block) {
        DjlAvailability.find().require();
        if (!Engine.hasEngine("PyTorch")) {
            throw new MuoniumException("DJL does not know its PyTorch engine, whose arrays Muonium works on; it knows "
                    + Engine.getAllEngines());
        }
        return new Builder(block);
    }

    /** Gathers the settings; DJL's own {@code optClipGrad} is refused, the rest of DJL's builder is understood. */
    public static final class Builder extends OptimizerBuilder<Builder> {
        private final Block block;
        private final Map<ParameterKind, Set<String>> kinds = new EnumMap<>(ParameterKind.class);
        private final List<Declared.Split> splits = new ArrayList<>();
        private boolean looksForHead = true;
        private Muon muon = Muon.defaults();
        private AdamW adamW = AdamW.defaults();
        private @Nullable Tracker muonRate;
        private @Nullable Tracker adamWRate;
        private int firstUpdate;
        private double clipNorm = Double.POSITIVE_INFINITY;
        private NonFinitePolicy nonFinite = NonFinitePolicy.SKIP;
        private long workspaceCap = Optimizer.Builder.DEFAULT_WORKSPACE_CAP;
        private StatePlacement placement = StatePlacement.device();
        private @Nullable Device device;

        private Builder(Block block) {
            this.block = block;
        }

        @Override
        protected Builder self() {
            return this;
        }

        private Declared declared() {
            Map<ParameterKind, Set<String>> said = new EnumMap<>(ParameterKind.class);
            kinds.forEach((kind, names) -> said.put(kind, new LinkedHashSet<>(names)));
            return new Declared(said, looksForHead, List.copyOf(splits));
        }

        private Builder declare(ParameterKind kind, String... names) {
            kinds.computeIfAbsent(kind, _ -> new LinkedHashSet<>()).addAll(List.of(names));
            return this;
        }

        /** What Muon does; {@link Muon#defaults} if nothing is said. */
        public Builder optMuon(Muon value) {
            muon = value;
            return this;
        }

        /** What AdamW does; {@link AdamW#defaults} if nothing is said. */
        public Builder optAdamW(AdamW value) {
            adamW = value;
            return this;
        }

        /** Muon's learning rate over time, asked before every step with the step's number, from 1; in place of the one in {@link #optMuon}. */
        public Builder optMuonLearningRate(Tracker tracker) {
            muonRate = tracker;
            return this;
        }

        /** AdamW's learning rate over time; see {@link #optMuonLearningRate}. */
        public Builder optAdamWLearningRate(Tracker tracker) {
            adamWRate = tracker;
            return this;
        }

        /** The decoupled weight decay of both, in place of theirs. Call it behind {@link #optMuon} and {@link #optAdamW}. */
        @Override
        public Builder optWeightDecays(float weightDecays) {
            super.optWeightDecays(weightDecays);
            muon = muon.weightDecay(weightDecays);
            adamW = adamW.weightDecay(weightDecays);
            return this;
        }

        /** The number of updates that trackers count from; 0 by default. */
        @Override
        public Builder optBeginNumUpdate(int beginNumUpdate) {
            super.optBeginNumUpdate(beginNumUpdate);
            firstUpdate = beginNumUpdate;
            return this;
        }

        /**
         * Declares heads, by their names in {@code block.getParameters()}; in place of the last matrix.
         */
        public Builder optHead(String... names) {
            looksForHead = false;
            return declare(ParameterKind.HEAD, names);
        }

        /** Says that the block has no head: its last matrix is a hidden one. */
        public Builder optNoHead() {
            looksForHead = false;
            kinds.remove(ParameterKind.HEAD);
            return this;
        }

        /** Declares embeddings, by their names in {@code block.getParameters()}; those in embedding blocks need no declaration. */
        public Builder optEmbedding(String... names) {
            return declare(ParameterKind.EMBEDDING, names);
        }

        /**
         * Declares kernels of convolutions for Muon, by their names in {@code block.getParameters()}. It updates {@code out × in × height × width} as the matrix {@code out ×
         * (in·height·width)}; by default kernels go to AdamW. They have 3 to 5 axes. One of a grouped convolution is as many matrices as it has groups if {@link
         * #optSplit} says so: {@code kernel -> kernel.splitEvery(out / groups)}.
         */
        public Builder optConvolution(String... names) {
            return declare(ParameterKind.CONVOLUTION, names);
        }

        /**
         * Declares stacks of hidden matrices, of experts for example, by their names in {@code block.getParameters()}: {@code experts × rows × cols}, or more axes, of which
         * all but the last two number the matrices. They go to Muon, which orthogonalizes each matrix by itself.
         */
        public Builder optStack(String... names) {
            return declare(ParameterKind.STACK, names);
        }

        /**
         * Says that a parameter is several matrices for Muon, each orthogonalized by itself, as the fused weights of query, key and value are. Rows are the units of
         * DJL's {@code Linear}:
         *
         * <pre>{@code
         * optSplit("02Linear_weight", qkv -> qkv.splitRows(768, 256, 256).splitEvery(64)) // heads of 64 rows
         * }</pre>
         *
         * Its state stays that of the whole, and is the same however it is split. What is not for Muon cannot be split, and pieces must be all of the rows; both are
         * checked in the first step where shapes are not known before.
         *
         * @param name its name in {@code block.getParameters()}
         * @param split returns what {@link Parameter#splitRows} and {@link Parameter#splitEvery} make of what it is given. It is called in the first step of the
         *     parameter
         */
        public Builder optSplit(String name, UnaryOperator<Parameter> split) {
            splits.add(new Declared.Split(name, split));
            return this;
        }

        /** Scales gradients so that their norm together is at most this, behind {@code setRescaleGrad}; by default they are not clipped. */
        public Builder optClipGlobalNorm(double norm) {
            clipNorm = norm;
            return this;
        }

        /** What happens when a gradient is not finite; the step is left out by default. */
        public Builder optNonFinite(NonFinitePolicy policy) {
            nonFinite = policy;
            return this;
        }

        /** The most bytes of Muon's workspace; see {@link Optimizer.Builder#workspaceCap}. */
        public Builder optWorkspaceCap(long bytes) {
            workspaceCap = bytes;
            return this;
        }

        /** Where the state lies between steps; on the device by default. */
        public Builder optStatePlacement(StatePlacement value) {
            placement = value;
            return this;
        }

        /** A device that the caller owns and closes behind the optimizer; by default one is opened where the weights lie. */
        public Builder optDevice(Device value) {
            device = value;
            return this;
        }

        private Settings settings() {
            return new Settings(
                    muon,
                    adamW,
                    muonRate,
                    adamWRate,
                    firstUpdate,
                    clipNorm,
                    nonFinite,
                    workspaceCap,
                    placement,
                    device);
        }

        /**
         * Makes the optimizer. Device and state are made in the first step, when DJL hands over the arrays.
         *
         * @throws IllegalArgumentException if the block has no parameter of a name that was declared, what was declared contradicts itself or does not fit the
         *     shape, or something was asked for that Muonium does not do
         */
        public MuoniumOptimizer build() {
            return new MuoniumOptimizer(this);
        }
    }

    /**
     * Takes one parameter of a step; the last one takes the step.
     *
     * @param parameterId DJL's id of a parameter of the block
     * @param weight its array, updated in place; it must stay the same array from step to step
     * @param grad its gradient, of the same shape; only read, when the last parameter of the step arrives
     * @throws IllegalArgumentException if the parameter is not the block's, an array is not dense FP32 of PyTorch, or what was declared does not fit the
     *     shapes
     * @throws IllegalStateException if the parameter is frozen, has no gradient, arrives again before all others have, its array was closed or is
     *     another one than before, another thread is in a call, or this is closed
     * @throws NonFiniteGradientException if a gradient is not finite and the policy is to throw
     */
    @Override
    public void update(String parameterId, NDArray weight, NDArray grad) {
        enter();
        try {
            take(parameterId, weight, grad);
            if (arrivals.areComplete()) {
                step();
                arrivals.drop();
            }
        } catch (RuntimeException | Error e) {
            arrivals.drop();
            throw e;
        } finally {
            busy.set(false);
        }
    }

    private void take(String id, NDArray weight, NDArray grad) {
        Route route = route(id);
        TorchArray.requireOpen(Arrival.weightsOf(route), weight);
        arrivals.requireAwaited(route, weight);
        if (arrivals.isEmpty()) {
            arrivals.expect(requireRouting().trained());
        }
        if (abi == null) {
            abi = new TorchAbi();
        }
        arrivals.add(Arrival.of(abi, deviceFor(route, weight), route, weight, grad));
    }

    /** The route of an id; the block is looked at again where it has become another one since. */
    private Route route(String id) {
        Route route = routing == null ? null : routing.find(id);
        if (route == null) {
            routing = Routing.of(block, declared);
            route = routing.find(id);
        }
        if (route == null) {
            throw new IllegalArgumentException("the parameter of id '" + id + "' is not one of the block that this"
                    + " optimizer was built for; the trainer of another block needs an optimizer of its own");
        }
        return route;
    }

    private Routing requireRouting() {
        return Objects.requireNonNull(routing, "no parameter has arrived");
    }

    private Device deviceFor(Route route, NDArray weight) {
        ai.djl.Device place = weight.getDevice();
        Device found = device;
        if (found == null) {
            found = settings.device();
            if (found == null) {
                found = place.isGpu() ? Device.cuda(place.getDeviceId()) : Device.cpu();
            }
            device = found;
        }
        if (found.memory().isHost() == place.isGpu()) {
            throw new IllegalStateException(Arrival.weightsOf(route) + " lies on " + place
                    + ", and this optimizer works on " + found.describe() + "; both must be the same");
        }
        return found;
    }

    private void step() {
        arrivals.all().forEach(Arrival::requireOpen);
        if (bound != null) {
            bound.bind(requireRouting(), arrivals);
        } else {
            bound = firstBound();
        }
        lastStep = bound.step(arrivals, rescaleGrad);
    }

    private BoundOptimizer firstBound() {
        LOG.info("routing:\n{}", requireRouting().describe());
        BoundOptimizer made = new BoundOptimizer(Objects.requireNonNull(device), settings);
        try {
            made.bind(requireRouting(), arrivals);
            if (pending != null) {
                made.restore(requireRouting(), pending);
                dropPending();
            }
        } catch (RuntimeException e) {
            made.close();
            throw e;
        }
        return made;
    }

    /** What the last step did; empty before the first one. */
    public Optional<StepReport> lastStep() {
        enter();
        try {
            return Optional.ofNullable(lastStep);
        } finally {
            busy.set(false);
        }
    }

    /**
     * The optimizer behind this one, for its groups, whose settings may be changed between steps, its counts of bytes and its parameters; empty before the
     * first step. It stays this object's: do not step or close it.
     */
    public Optional<Optimizer> optimizer() {
        enter();
        try {
            return Optional.ofNullable(bound).map(BoundOptimizer::optimizer);
        } finally {
            busy.set(false);
        }
    }

    /** The device that it works on, whose ledger counts state and workspace; empty before the first parameter arrived. */
    public Optional<Device> device() {
        enter();
        try {
            return Optional.ofNullable(device);
        } finally {
            busy.set(false);
        }
    }

    /** All parameters of the block with what they are taken for and why, and, from the first step on, the table of {@link Optimizer#describe}. */
    public String describe() {
        enter();
        try {
            String routes = Routing.of(block, declared).describe();
            return bound == null ? routes : routes + "\n" + bound.optimizer().describe();
        } finally {
            busy.set(false);
        }
    }

    /**
     * Writes the state to a safetensors file, as a whole or not at all; see {@link OptimizerFile}. The weights are DJL's to save.
     *
     * @throws IllegalStateException if no step was taken yet, or one is unfinished
     * @throws MuoniumException if the file cannot be written; what was there before is untouched
     */
    public void save(Path file) {
        enter();
        try {
            requireBetweenSteps("saved");
            if (bound == null) {
                throw new IllegalStateException("no step was taken yet, so there is no state to be saved");
            }
            OptimizerFile.write(file, Objects.requireNonNull(device), bound.optimizer());
        } finally {
            busy.set(false);
        }
    }

    /**
     * Takes the state from a file that {@link #save} wrote. Before the first step the names are checked now, and the rest when the first step
     * begins, in which DJL hands over the arrays; the file is kept open until then.
     *
     * @throws MuoniumException if the file cannot be read or is of other parameters or formats; nothing was changed
     * @throws IllegalStateException if a step is unfinished
     */
    public void load(Path file) {
        enter();
        try {
            requireBetweenSteps("loaded");
            Safetensors opened = Safetensors.open(file);
            try {
                // not kept: before the block is initialized its shapes are not known
                for (Route route : Routing.of(block, declared).trained()) {
                    if (opened.find(OptimizerFile.stepKey(route.name())).isEmpty()) {
                        throw new MuoniumException("'" + file + "' has no state of parameter '" + route.name()
                                + "'; it is that of another block, or the parameter was frozen");
                    }
                }
                if (bound != null) {
                    bound.restore(requireRouting(), opened);
                }
            } catch (RuntimeException e) {
                opened.close();
                throw e;
            }
            dropPending();
            if (bound == null) {
                pending = opened;
            } else {
                opened.close();
            }
        } finally {
            busy.set(false);
        }
    }

    private void requireBetweenSteps(String what) {
        if (!arrivals.isEmpty()) {
            throw new IllegalStateException(
                    "a step is unfinished, so no state can be " + what + ": " + arrivals.missing() + " did not arrive");
        }
    }

    private void dropPending() {
        if (pending != null) {
            pending.close();
            pending = null;
        }
    }

    private void enter() {
        if (!busy.compareAndSet(false, true)) {
            throw new IllegalStateException(
                    "the optimizer is in use by another thread; a second trainer needs an optimizer of its own");
        }
        if (closed) {
            busy.set(false);
            throw new IllegalStateException("the optimizer was used after it was closed");
        }
    }

    /** Frees state and workspace, and the device if it was opened here; weights and gradients stay DJL's. A second call does nothing. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        enter();
        try {
            closed = true;
            if (!arrivals.isEmpty()) {
                LOG.warn("closed in the middle of a step, which was not taken: {} did not arrive", arrivals.missing());
            }
            if (pending != null) {
                LOG.warn("closed before a step: the state of '{}' was not used", pending.file());
            }
            arrivals.drop();
            dropPending();
            if (bound != null) {
                bound.close();
            }
            if (device != null && device != settings.device()) {
                device.close();
            }
        } finally {
            busy.set(false);
        }
    }
}
