package dev.muonium.pytorch;

import dev.muonium.checkpoint.CheckpointPart;
import dev.muonium.checkpoint.ForeignState;
import dev.muonium.checkpoint.Safetensors;
import dev.muonium.checkpoint.SafetensorsWriter;
import dev.muonium.checkpoint.StateSource;
import dev.muonium.checkpoint.TrainingState;
import dev.muonium.device.Device;
import dev.muonium.optim.GroupSpec;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterGroup;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.ParameterState;
import dev.muonium.optim.Schedule;
import dev.muonium.optim.StepReport;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.jspecify.annotations.Nullable;

/**
 * Trains a {@code torch.nn} module of JavaCPP's PyTorch with {@link dev.muonium.optim.Muon} and {@link dev.muonium.optim.AdamW}: it takes the
 * place of {@code org.bytedeco.pytorch.AdamW} in a training loop, which otherwise stays as it is.
 *
 * <pre>{@code
 * try (ModuleOptimizer optimizer = ModuleOptimizer.builder(model)
 *         .head("head.weight")
 *         .group(Muon.defaults().learningRate(0.02).state(StateFormat.INT8))
 *         .group(AdamW.defaults().learningRate(3e-3).state(StateFormat.INT8))
 *         .clipGlobalNorm(1.0)
 *         .build()) {
 *     for (Batch batch : batches) {
 *         optimizer.zeroGrad();
 *         loss(model, batch).backward();
 *         optimizer.step();
 *     }
 * }
 * }</pre>
 *
 * <p><b>In place.</b> Weights and gradients are read and written where PyTorch keeps them, float32 or bfloat16 each; nothing is copied. The one exception is a
 * gradient that is not contiguous, which is copied for the step, with one line in the log. The gradient's address may be another one in each
 * step. The update is that of {@link Optimizer} over the same memory, to the bit.
 *
 * <p><b>Routing.</b> Tables of embedding modules are found in the module, heads (and embeddings that the module looks up by hand) are
 * declared; other parameters of two dimensions are hidden matrices. More dimensions are for Muon if they are declared, as {@link Builder#convolution kernels} or {@link
 * Builder#stack stacks of experts}, and {@link Builder#split} cuts fused matrices. A parameter goes to the first group with a condition that
 * its name fulfils, else matrices, declared kernels and stacks go to the first Muon group without a condition, and everything else (embeddings, heads, vectors, other
 * kernels) to the first AdamW group without one. {@link #describe} shows the result. Weights that are tied are one parameter.
 *
 * <p><b>Left out of a step</b>, as in PyTorch, is a parameter without a gradient; and one whose {@code requires_grad} is false. Of the
 * latter no state is kept before they are trained.
 *
 * <p><b>Device.</b> Trained parameters lie on one device. On the CPU the work is done by as many threads as PyTorch has. On an NVIDIA GPU it is
 * done in the stream that is PyTorch's current one when the optimizer is built; if that is CUDA's default stream, or PyTorch has changed
 * to another, a step first waits for PyTorch's current stream. Every step waits for the GPU at its end. A GPU of another maker is refused.
 *
 * <p><b>Memory.</b> State is the optimizer's and in the ledger of its device. References to tensors that a step makes are freed when it
 * returns. The parameters' own memory is kept until {@link #close}, also when the module is closed before.
 *
 * <p>One thread at a time: a call during a step on another thread is an {@link IllegalStateException}, as is use after close.
 */
public final class ModuleOptimizer implements AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(ModuleOptimizer.class);

    private final TensorMemory memory;
    private final Routing routing;
    private final Optimizer optimizer;
    private final List<ModuleParameter> trained = new ArrayList<>();
    private final List<FoundParameter> frozen = new ArrayList<>();
    private final AtomicBoolean busy = new AtomicBoolean();
    private volatile boolean closed;

    private ModuleOptimizer(TensorMemory memory, Routing routing, Optimizer optimizer) {
        this.memory = memory;
        this.routing = routing;
        this.optimizer = optimizer;
    }

    /**
     * Begins an optimizer for a module.
     *
     * @throws dev.muonium.DeviceUnavailableException if PyTorch's native libraries are missing
     * @throws IllegalArgumentException if the module was closed
     */
    // Not "requires transitive": javac would ask every module that requires this library for PyTorch's.
    @SuppressWarnings("exports")
    public static Builder builder(Module module) {
        PyTorch.require();
        if (module.isNull()) {
            throw new IllegalArgumentException("the module was closed; build its optimizer before");
        }
        return new Builder(module);
    }

    /** Gathers the settings of a {@link ModuleOptimizer}. Not thread-safe. */
    public static final class Builder {
        private final Module module;
        private final Routing routing = new Routing();
        private final List<Consumer<Optimizer.Builder>> settings = new ArrayList<>();
        private @Nullable Device device;
        private @Nullable TensorMemory memory;

        private Builder(Module module) {
            this.module = module;
        }

        /** Adds a parameter group, which takes parameters by their kind if it is the first of its optimizer. */
        public Builder group(GroupSpec spec) {
            routing.add(new GroupRule(spec, null));
            return this;
        }

        /**
         * Adds a parameter group for the parameters whose names fulfil a condition, whatever their kind; the first group that takes a parameter has it.
         *
         * @param names tests names as {@code module.named_parameters()} has them, for example {@code name -> name.endsWith(".bias")}
         */
        public Builder group(GroupSpec spec, Predicate<String> names) {
            routing.add(new GroupRule(spec, names));
            return this;
        }

        /** Says which parameters are heads: the last matrices, which give the logits. They are for AdamW. */
        public Builder head(String... names) {
            routing.declarations().add(ParameterKind.HEAD, List.of(names));
            return this;
        }

        /** Says that the module has no head, so that all matrices but embeddings are hidden ones. */
        public Builder withoutHead() {
            routing.withoutHead();
            return this;
        }

        /** Says which parameters are embeddings, beside the tables of embedding modules, which are known. They are for AdamW. */
        public Builder embedding(String... names) {
            routing.declarations().add(ParameterKind.EMBEDDING, List.of(names));
            return this;
        }

        /**
         * Says which parameters are kernels of convolutions for Muon, which updates {@code out × in × height × width} as the matrix {@code out × (in·height·width)}; by
         * default kernels are for AdamW. They have 3 to 5 dimensions. One of a grouped convolution is as many matrices as it has groups if {@link #split}
         * says so: {@code kernel -> kernel.splitEvery(out / groups)}.
         */
        public Builder convolution(String... names) {
            routing.declarations().add(ParameterKind.CONVOLUTION, List.of(names));
            return this;
        }

        /**
         * Says which parameters are stacks of hidden matrices, of experts for example: {@code experts × rows × cols}, or more dimensions, of which all but the last two
         * number the matrices. They are for Muon, which orthogonalizes each matrix by itself.
         */
        public Builder stack(String... names) {
            routing.declarations().add(ParameterKind.STACK, List.of(names));
            return this;
        }

        /**
         * Says that a parameter is several matrices for Muon, each orthogonalized by itself, as the fused weights of query, key and value are. Rows are a linear module's
         * outputs:
         *
         * <pre>{@code
         * split("attention.qkv.weight", qkv -> qkv.splitRows(768, 256, 256).splitEvery(64)) // heads of 64 rows
         * }</pre>
         *
         * Its state stays that of the whole, and is the same however it is split.
         *
         * @param split returns what {@link Parameter#splitRows} and {@link Parameter#splitEvery} make of what it is given. It is called by {@link #build}, or when a
         *     frozen parameter is first trained
         */
        public Builder split(String name, UnaryOperator<Parameter> split) {
            routing.declarations().addSplit(name, split);
            return this;
        }

        /** Scales gradients so that their norm together is at most this; by default they are not clipped. */
        public Builder clipGlobalNorm(double norm) {
            return settings(optimizer -> optimizer.clipGlobalNorm(norm));
        }

        /** What learning rates are multiplied by over time; constant by default. */
        public Builder schedule(Schedule value) {
            return settings(optimizer -> optimizer.schedule(value));
        }

        /**
         * Changes other settings of the optimizer underneath: rounding of bfloat16 weights, its seed, what happens to gradients that are not finite,
         * where state lies. Groups are added with {@link #group} instead.
         */
        public Builder settings(Consumer<Optimizer.Builder> change) {
            settings.add(change);
            return this;
        }

        /**
         * The device to work on, instead of one that is opened for the module and closed with the optimizer. It stays the caller's and must
         * outlive the optimizer.
         */
        public Builder device(Device value) {
            device = value;
            return this;
        }

        /** The memory of the tensors, where tests have an emulated GPU of which PyTorch does not know. */
        Builder memory(TensorMemory value) {
            memory = value;
            return this;
        }

        /**
         * Makes the optimizer, and state, filled with zeros, for every parameter that is trained.
         *
         * @throws IllegalArgumentException if the module has nothing to train; a parameter is float16, float64, of integers, not dense, not contiguous
         *     or on another device; no group takes it; nothing was said about a head and there are hidden matrices; or what was said by name is about no
         *     parameter of the module, contradicts itself, does not fit the shape, or splits what does not go to Muon
         * @throws dev.muonium.DeviceUnavailableException if the device cannot be opened
         */
        public ModuleOptimizer build() {
            List<FoundParameter> all = ModuleInventory.of(module);
            try {
                routing.requireFits(all);
                return build(all);
            } catch (RuntimeException | Error e) {
                all.forEach(FoundParameter::close);
                throw e;
            }
        }

        private ModuleOptimizer build(List<FoundParameter> all) {
            FoundParameter first = all.stream()
                    .filter(FoundParameter::isTrained)
                    .findFirst()
                    .orElseThrow(() -> new IllegalArgumentException(
                            all.isEmpty()
                                    ? "the module has no parameters"
                                    : "the module's " + all.size()
                                            + " parameters are all frozen (requires_grad is false); there is"
                                            + " nothing to train"));
            TensorMemory where = memory != null ? memory : TensorMemory.of(first, device);
            try {
                Optimizer.Builder builder = Optimizer.builder(where.device());
                routing.rules().forEach(rule -> builder.group(rule.spec()));
                settings.forEach(change -> change.accept(builder));
                ModuleOptimizer made = new ModuleOptimizer(where, routing, builder.build());
                try {
                    made.addAll(all);
                    return made;
                } catch (RuntimeException | Error e) {
                    made.abandon();
                    throw e;
                }
            } catch (RuntimeException | Error e) {
                where.close();
                throw e;
            }
        }
    }

    /** Takes over what was found. */
    private void addAll(List<FoundParameter> all) {
        try (PointerScope _ = new PointerScope()) {
            for (FoundParameter found : all) {
                if (found.isTrained()) {
                    add(found);
                } else {
                    frozen.add(found);
                }
            }
        }
    }

    private void add(FoundParameter found) {
        trained.add(new ModuleParameter(found, routing.route(found), memory, optimizer::add));
    }

    /** After a failed build, whose parameters are still the builder's. */
    private void abandon() {
        closed = true;
        optimizer.close();
        trained.forEach(ModuleParameter::forget);
    }

    /** Takes a step with the gradients that PyTorch has now; see {@link #step(double)}. */
    public StepReport step() {
        return step(1);
    }

    /**
     * Takes a step with the gradients that PyTorch has now, and changes none of them.
     *
     * @param gradientScale what gradients are multiplied by first, for example {@code 1/n} after n calls of backward; finite and positive
     * @return what was done
     * @throws IllegalArgumentException if a gradient is sparse, neither float32 nor bfloat16, or on another device, or a parameter that was frozen cannot be
     *     taken up or split as was said; nothing was changed
     * @throws IllegalStateException if no parameter has a gradient, weights were freed or moved since the optimizer was built, another thread
     *     uses this optimizer, or it is closed; nothing was changed
     * @throws dev.muonium.NonFiniteGradientException if a gradient is not finite and the policy is to throw; nothing was changed
     */
    public StepReport step(double gradientScale) {
        acquire();
        try (PointerScope _ = new PointerScope()) {
            memory.followPyTorch();
            thaw();
            int taken = 0;
            for (ModuleParameter parameter : trained) {
                taken += parameter.bind() ? 1 : 0;
            }
            if (taken == 0) {
                throw new IllegalStateException("none of the " + trained.size()
                        + " trained parameters has a gradient; call backward() on a loss between zeroGrad()"
                        + " and step()");
            }
            return optimizer.step(gradientScale);
        } finally {
            release();
        }
    }

    /** Adds parameters that PyTorch has begun to train. */
    private void thaw() {
        for (Iterator<FoundParameter> each = frozen.iterator(); each.hasNext(); ) {
            FoundParameter found = each.next();
            if (found.hasGradient()) {
                add(found);
                each.remove();
                LOG.info("parameter '{}' is trained from now on; its state begins with zeros", found.name());
            }
        }
    }

    /** Removes the gradients of all parameters of the module, which gives their memory back: PyTorch's default. */
    public void zeroGrad() {
        zeroGrad(true);
    }

    /**
     * Removes the gradients of all parameters of the module, or fills them with zeros.
     *
     * @param setToNone whether they are removed; a parameter whose gradient is zeros is stepped, as in PyTorch, one without a gradient is not
     */
    public void zeroGrad(boolean setToNone) {
        acquire();
        try (PointerScope _ = new PointerScope()) {
            trained.forEach(parameter -> parameter.found().zeroGradient(setToNone));
            frozen.forEach(found -> found.zeroGradient(setToNone));
        } finally {
            release();
        }
    }

    /**
     * A group, to change its learning rate, weight decay or momentum between steps.
     *
     * @throws IllegalArgumentException if there is no such group
     */
    public ParameterGroup group(String name) {
        return optimizer.group(name);
    }

    /** All groups, in the order in which they were added. */
    public List<ParameterGroup> groups() {
        return optimizer.groups();
    }

    /**
     * The learning rate of a parameter in the next step: its group's, times the schedule's factor; without Muon's adjustment.
     *
     * @throws IllegalArgumentException if no such parameter is trained
     */
    public double learningRate(String parameter) {
        return optimizer.learningRate(parameter);
    }

    /** The number of steps taken. */
    public long steps() {
        return optimizer.steps();
    }

    /** Bytes of optimizer state: codes and scales, without master weights. */
    public long stateBytes() {
        return optimizer.stateBytes();
    }

    /**
     * The state of a parameter; see {@link Optimizer#state}.
     *
     * @throws IllegalArgumentException if no such parameter is trained
     */
    public ParameterState state(String parameter) {
        return optimizer.state(parameter);
    }

    /** The trained parameters as the optimizer sees them: where their weights lie, and the gradients of the last step, which PyTorch may have freed since. Not to be changed. */
    public List<Parameter> parameters() {
        return optimizer.parameters();
    }

    /** The device that steps are computed on, whose ledger counts the state. */
    public Device device() {
        return memory.device();
    }

    /**
     * A table of all trained parameters: shape, with the matrices that Muon orthogonalizes if they are others, group, optimizer, state format, learning rate of
     * the next step, bytes of state. Then what was taken for an embedding, a head, a convolution or a stack, which names are one parameter, and what is frozen.
     */
    public String describe() {
        acquire();
        try {
            StringBuilder text = new StringBuilder(optimizer.describe());
            line(text, "embeddings", names(ParameterKind.EMBEDDING));
            line(text, "heads", names(ParameterKind.HEAD));
            line(text, "convolutions", names(ParameterKind.CONVOLUTION));
            line(text, "stacks", names(ParameterKind.STACK));
            line(
                    text,
                    "tied, one parameter each",
                    trained.stream()
                            .map(parameter -> parameter.found().names())
                            .filter(names -> names.size() > 1)
                            .map(names -> String.join(" = ", names))
                            .toList());
            line(
                    text,
                    "frozen, without state",
                    frozen.stream().map(FoundParameter::name).toList());
            return text.toString();
        } finally {
            release();
        }
    }

    private List<String> names(ParameterKind kind) {
        return trained.stream()
                .map(ModuleParameter::found)
                .filter(found -> routing.kind(found) == kind)
                .map(FoundParameter::name)
                .toList();
    }

    private static void line(StringBuilder text, String what, List<String> names) {
        if (!names.isEmpty()) {
            text.append(what).append(": ").append(String.join(", ", names)).append('\n');
        }
    }

    /**
     * What must be kept to go on with the same bits, for a {@link TrainingState}: the state of every parameter, the number of steps, learning rate, weight decay and
     * momentum of the groups. The weights are the module's. Use it between steps.
     */
    public StateSource stateSource() {
        return new ModuleState(optimizer);
    }

    /**
     * Saves what {@link #stateSource} has to a safetensors file, as a whole or not at all; beside it the module's own weights are saved as PyTorch saves
     * them.
     *
     * @throws dev.muonium.checkpoint.SafetensorsException if it cannot be written; what was there before is untouched
     */
    public void save(Path file) {
        acquire();
        try {
            for (CheckpointPart part :
                    new TrainingState(device()).source(stateSource()).parts()) {
                if (part.name().equals(CheckpointPart.OPTIMIZER)) {
                    SafetensorsWriter.write(file, part.metadata(), part.tensors());
                }
            }
        } finally {
            release();
        }
    }

    /**
     * Loads what {@link #save} wrote; either all of it or nothing. With the weights that the module had then, the run goes on with the same bits, if the
     * optimizer was built with the same groups, schedule and seed.
     *
     * @throws dev.muonium.checkpoint.SafetensorsException if it cannot be read or is not valid
     * @throws dev.muonium.checkpoint.CheckpointException or IllegalArgumentException if it is of other parameters, groups, shapes or
     *     formats
     */
    public void load(Path file) {
        acquire();
        try (Safetensors opened = Safetensors.open(file)) {
            ModuleState state = new ModuleState(optimizer);
            state.check(opened);
            state.requireNothingElse(opened);
            state.restore(opened);
        } finally {
            release();
        }
    }

    /**
     * The state under the names of other frameworks, to take a run over from them or give it back. Use it between steps, with all parameters trained that the files have.
     */
    public ForeignState foreignState() {
        return new ForeignState(device(), optimizer);
    }

    private void acquire() {
        if (!busy.compareAndSet(false, true)) {
            throw new IllegalStateException(
                    "the optimizer is in use by another thread; one thread at a time may step or change it");
        }
        if (closed) {
            busy.set(false);
            throw new IllegalStateException("the optimizer was used after it was closed");
        }
    }

    private void release() {
        busy.set(false);
    }

    /** Frees state and workspace, lets go of the module's tensors, and closes the device if the optimizer opened it. A second call does nothing. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        acquire();
        try {
            closed = true;
            optimizer.close();
            trained.forEach(ModuleParameter::close);
            frozen.forEach(FoundParameter::close);
            memory.close();
        } finally {
            release();
        }
    }
}
