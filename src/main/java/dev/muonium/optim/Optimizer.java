package dev.muonium.optim;

import dev.muonium.NonFiniteGradientException;
import dev.muonium.device.CudaDevice;
import dev.muonium.device.Device;
import dev.muonium.events.Events;
import dev.muonium.events.StepEvent;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.ElementType;
import dev.muonium.ortho.NewtonSchulz;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Updates weights in place from their gradients, with Muon and AdamW side by side.
 *
 * <pre>{@code
 * try (Device device = Device.cpu();
 *         Optimizer optimizer = Optimizer.builder(device)
 *                 .group(Muon.defaults().learningRate(0.02).state(StateFormat.INT8))
 *                 .group(AdamW.defaults().learningRate(3e-3).state(StateFormat.INT8))
 *                 .clipGlobalNorm(1.0)
 *                 .build()) {
 *     optimizer.add(Parameter.matrix("blocks.0.attn.q", weights, gradient, 768, 768));
 *     StepReport report = optimizer.step();
 * }
 * }</pre>
 *
 * <p><b>Routing.</b> A parameter goes to the group that it names; else hidden matrices ({@link ParameterKind#MATRIX},
 * {@link ParameterKind#STACK}, {@link ParameterKind#CONVOLUTION}) to the first Muon group and everything else to the first AdamW group. Where there is no such group, {@link #add} refuses: nothing falls back silently.
 *
 * <p><b>A step</b> first sweeps all gradients for their norm and for NaN and infinities, so that clipping and leaving the step out
 * are decided before anything is changed; then Muon's matrices and AdamW's arrays are updated. Gradients are only read: the caller
 * zeroes them.
 *
 * <p><b>Memory.</b> The optimizer owns its state, an optional FP32 copy of the weights, and a workspace, all counted in the device's
 * ledger; weights and gradients stay the caller's. Nothing is allocated in a step unless parameters were added, removed, frozen or
 * thawed since the last one. The state can lie in a file: {@link Builder#statePlacement}.
 *
 * <p><b>On a GPU</b> a step is a few launches over many arrays, captured in the second step and replayed from then on: matrices of the same shape, formats and types
 * are worked on together, as many as the cap of the workspace allows. What changes between steps is data. The host waits once in a
 * step, at its end.
 *
 * <p><b>Determinism.</b> Same input, same bits, whatever the number of the device's workers.
 *
 * <p>One thread at a time: a call during a step on another thread is an {@link IllegalStateException}, as is use after close. Close
 * it before its device.
 */
public final class Optimizer implements AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(Optimizer.class);

    private final Device device;
    private final Map<String, ParameterGroup> groups;
    private final double clipNorm;
    private final NonFinitePolicy nonFinitePolicy;
    private final WeightRounding weightRounding;
    private final long seed;
    private final Schedule schedule;
    private final long workspaceCap;
    private final boolean batched;
    private final long stagingCap;
    private final @Nullable StateFile stateFile;
    private final Allocator stateMemory;

    private final Map<String, Slot> slots = new LinkedHashMap<>();
    private final AtomicBoolean busy = new AtomicBoolean();
    private @Nullable StepPlan plan;
    private long steps;
    private long fallbacks;
    private int plansMade;
    private long waitedNanos;
    private volatile boolean closed;

    private Optimizer(Builder builder) {
        this.device = builder.device;
        this.groups = new LinkedHashMap<>(builder.groups);
        this.clipNorm = builder.clipNorm;
        this.nonFinitePolicy = builder.nonFinitePolicy;
        this.weightRounding = builder.weightRounding;
        this.seed = builder.seed;
        this.schedule = builder.schedule;
        this.workspaceCap = builder.workspaceCap;
        this.batched = builder.batched;
        this.stagingCap = device.memory().isHost() || builder.placement instanceof StatePlacement.OnDevice
                ? 0
                : builder.stagingCap;
        this.stateFile = builder.placement instanceof StatePlacement.InFile inFile
                ? new StateFile(inFile.folder(), device.ledger())
                : null;
        this.stateMemory = switch (builder.placement) {
            case StatePlacement.OnDevice _ -> device;
            case StatePlacement.OnHost _ -> new HostState(device.memory(), device.ledger());
            case StatePlacement.InFile _ -> Objects.requireNonNull(stateFile).allocator();
        };
    }

    /** Begins an optimizer on a device, which must outlive it. */
    public static Builder builder(Device device) {
        return new Builder(device);
    }

    /** Gathers the settings of an {@link Optimizer}. */
    public static final class Builder {
        /** The cap of the workspace where none is asked for. */
        public static final long DEFAULT_WORKSPACE_CAP = 512L << 20;

        private final Device device;
        private final Map<String, ParameterGroup> groups = new LinkedHashMap<>();
        private double clipNorm = Double.POSITIVE_INFINITY;
        private NonFinitePolicy nonFinitePolicy = NonFinitePolicy.SKIP;
        private WeightRounding weightRounding = WeightRounding.STOCHASTIC;
        private long seed;
        private Schedule schedule = Schedule.constant();
        private long workspaceCap = DEFAULT_WORKSPACE_CAP;
        private boolean batched;
        private long stagingCap = StateLoads.CAP;
        private StatePlacement placement = StatePlacement.device();

        private Builder(Device device) {
            this.device = device;
            this.batched = !device.memory().isHost();
        }

        /** Steps by launches over many arrays, on a CPU as well, where tests compare them with tasks. */
        Builder batched() {
            batched = true;
            return this;
        }

        /** The most bytes of places that state passes through, where tests want many small loads. */
        Builder stagingCap(long bytes) {
            stagingCap = bytes;
            return this;
        }

        /**
         * Adds a parameter group. The first of each optimizer takes what is routed by kind.
         *
         * @throws IllegalArgumentException if there is a group of that name
         */
        public Builder group(GroupSpec spec) {
            if (groups.putIfAbsent(spec.name(), new ParameterGroup(spec)) != null) {
                throw new IllegalArgumentException(
                        "there are two groups '" + spec.name() + "'; give one of them another name");
            }
            return this;
        }

        /** Scales gradients so that their norm together is at most this; by default they are not clipped. */
        public Builder clipGlobalNorm(double norm) {
            clipNorm = Ranges.requirePositive("the norm to clip gradients to", norm);
            return this;
        }

        /** What happens when a gradient is not finite; {@link NonFinitePolicy#SKIP} by default. */
        public Builder nonFinite(NonFinitePolicy policy) {
            nonFinitePolicy = policy;
            return this;
        }

        /** How BF16 weights are rounded; {@link WeightRounding#STOCHASTIC} by default. */
        public Builder weightRounding(WeightRounding rounding) {
            weightRounding = rounding;
            return this;
        }

        /** The seed of stochastic rounding; 0 by default. */
        public Builder seed(long value) {
            seed = value;
            return this;
        }

        /** What learning rates are multiplied by over time; constant by default. */
        public Builder schedule(Schedule value) {
            schedule = value;
            return this;
        }

        /**
         * The most bytes of Muon's workspace, 512 MiB by default. It limits how many matrices are worked on at the same time; the
         * result does not depend on it, but for the last bits on a GPU, where cuBLAS may add up in another order. A single matrix that needs more than this still gets what it needs.
         */
        public Builder workspaceCap(long bytes) {
            if (bytes < 0) {
                throw new IllegalArgumentException(
                        "the cap of the workspace is " + bytes + " bytes; it must not be negative");
            }
            workspaceCap = bytes;
            return this;
        }

        /** Where the state lies between steps; {@link StatePlacement#device} by default. */
        public Builder statePlacement(StatePlacement value) {
            placement = value;
            return this;
        }

        /**
         * Makes the optimizer.
         *
         * @throws IllegalArgumentException if there is no group, or the device cannot keep its state where it is to be
         * @throws dev.muonium.MuoniumException if no file can be made for the state
         */
        public Optimizer build() {
            if (groups.isEmpty()) {
                throw new IllegalArgumentException("an optimizer needs at least one parameter group");
            }
            if (device.memory().isHost() && placement instanceof StatePlacement.OnHost) {
                throw new IllegalArgumentException("optimizer state in memory of the host is for a GPU; the memory of "
                        + device.describe() + " is the host's already, so keep the state on the device or in a file");
            }
            return new Optimizer(this);
        }
    }

    /**
     * Adds a parameter and allocates its state, filled with zeros.
     *
     * @throws IllegalArgumentException if there is a parameter of that name, no group for it, Muon is to update something that is not
     *     a matrix, its weights overlap another parameter's weights or gradient, or its gradient another's weights, or Muon is to
     *     iterate in a precision that the device has no fast products for, or with a norm that is for a CPU
     */
    public void add(Parameter parameter) {
        acquire();
        try {
            if (slots.containsKey(parameter.name())) {
                throw new IllegalArgumentException(
                        "there is a parameter '" + parameter.name() + "' already; names are unique");
            }
            for (Slot other : slots.values()) {
                parameter.requireApart(other.parameter);
            }
            slots.put(parameter.name(), slotOf(parameter, route(parameter)));
            dropPlan();
        } finally {
            release();
        }
    }

    /** Adds several parameters; see {@link #add}. */
    public void addAll(Iterable<Parameter> parameters) {
        parameters.forEach(this::add);
    }

    private ParameterGroup route(Parameter parameter) {
        String wanted = parameter.group();
        if (wanted != null) {
            return group(wanted);
        }
        boolean forMuon = parameter.kind().isForMuon();
        for (ParameterGroup group : groups.values()) {
            if (group.spec() instanceof Muon == forMuon) {
                return group;
            }
        }
        throw new IllegalArgumentException("parameter '" + parameter.name() + "' is a " + parameter.kind() + ", for "
                + (forMuon ? "Muon" : "AdamW") + ", and there is no such group among " + groups.keySet()
                + "; add one, or name a group with inGroup(...)");
    }

    private Slot slotOf(Parameter parameter, ParameterGroup group) {
        return switch (group.spec()) {
            case Muon muon -> {
                if (parameter.matrices().isEmpty()) {
                    throw new IllegalArgumentException("parameter '" + parameter.name() + "' has the shape "
                            + parameter.shape() + " and Muon updates matrices (rows × cols) only; name an AdamW group"
                            + (parameter.shape().rank() > 2 ? ", or make it a STACK or a CONVOLUTION" : ""));
                }
                NewtonSchulz newtonSchulz = muon.newtonSchulz(!batched);
                requirePrecision(muon.name(), newtonSchulz.precision());
                yield new MuonSlot(device, stateMemory, parameter, group, muon, newtonSchulz, weightRounding);
            }
            case AdamW adamW -> new AdamWSlot(device, stateMemory, parameter, group, adamW, weightRounding);
        };
    }

    private void requirePrecision(String group, @Nullable ElementType wanted) {
        if (wanted != null && !device.isFast(wanted)) {
            throw new IllegalArgumentException("group '" + group + "' asks for Newton-Schulz in " + wanted
                    + ", which " + device.describe() + " cannot multiply natively; ask for F32, or leave the precision"
                    + " open, which takes the fastest that the device has");
        }
    }

    /**
     * Removes a parameter and frees its state; its weights stay as they are.
     *
     * @throws IllegalArgumentException if there is no such parameter
     */
    public void remove(String parameter) {
        acquire();
        try {
            Slot slot = slot(parameter);
            slots.remove(parameter);
            dropPlan();
            flushState();
            slot.close();
        } finally {
            release();
        }
    }

    /** How many matrices so far, counted per step, had an orthogonalization that went wrong; see {@link StepReport#fallbacks}. */
    public long fallbacks() {
        acquire();
        try {
            return fallbacks;
        } finally {
            release();
        }
    }

    /** Takes a step with the gradients as they are; see {@link #step(double)}. */
    public StepReport step() {
        return step(1);
    }

    /**
     * Takes a step.
     *
     * @param gradientScale what gradients are multiplied by first, for example {@code 1/n} after accumulating n micro-batches, or
     *     the inverse of a loss scale; finite and positive
     * @return what was done
     * @throws NonFiniteGradientException if a gradient is not finite and the policy is to throw; nothing was changed
     * @throws IllegalArgumentException if the gradient scale, or a learning rate or decay of this step, does not fit FP32, or a
     *     gradient was bound that lies in the weights of another parameter; nothing was changed
     * @throws IllegalStateException if there is no parameter to update, a parameter's memory was freed, another thread uses this
     *     optimizer, or it is closed
     */
    public StepReport step(double gradientScale) {
        Ranges.requireFactor("the gradient scale", gradientScale);
        acquire();
        try {
            return take(gradientScale);
        } finally {
            release();
        }
    }

    /** Takes a step with the gradients as they are, and statistics of it; see {@link #stepWithStatistics(double)}. */
    public StepStatistics stepWithStatistics() {
        return stepWithStatistics(1);
    }

    /**
     * Takes a step, the same bits as {@link #step(double)}, and says of each group how large gradients, updates and state are, and what quantizing the state has
     * lost. For now and then: it copies weights and state before the step, which needs as much memory of the host again until it returns (the ledger counts it), and
     * compares them in Java, element by element.
     *
     * @param gradientScale as for {@link #step(double)}
     * @throws dev.muonium.MuoniumException if there is no memory for the copies; nothing was changed
     */
    public StepStatistics stepWithStatistics(double gradientScale) {
        Ranges.requireFactor("the gradient scale", gradientScale);
        acquire();
        try {
            List<Slot> active = plan().slots();
            active.forEach(Slot::requireUsable);
            try (StatisticsCollector collector = new StatisticsCollector(device, active, gradientScale)) {
                StepReport report = take(gradientScale);
                return new StepStatistics(report, report.taken() ? collector.after(report) : List.of());
            }
        } finally {
            release();
        }
    }

    private StepReport take(double gradientScale) {
        StepEvent event = Events.step();
        StepPlan current = plan();
        double factor = schedule.factor(steps);
        List<Slot> active = current.slots();
        for (int i = 0; i < active.size(); i++) {
            Slot slot = active.get(i);
            slot.requireUsable();
            current.weights().requireApart(slot.parameter);
            slot.prepare(factor);
        }
        Decision decision = current.run(gradientScale, clipNorm, seed);
        if (decision.nonFinite() >= 0) {
            String culprit = active.get(decision.nonFinite()).parameter.name();
            if (event != null) {
                StepEvents.commit(event, leftOut(culprit), active.size());
            }
            return refuse(culprit);
        }
        for (int i = 0; i < active.size(); i++) {
            active.get(i).stepTaken();
        }
        steps++;
        fallbacks += decision.fallbacks();
        StepReport report = new StepReport(steps, true, decision.norm(), decision.clip(), null, decision.fallbacks());
        if (event != null) {
            StepEvents.commit(event, report, active.size());
        }
        return report;
    }

    private StepReport refuse(String parameter) {
        if (nonFinitePolicy == NonFinitePolicy.THROW) {
            throw new NonFiniteGradientException(parameter);
        }
        LOG.warn("the step after step {} was left out: the gradient of parameter '{}' is not finite", steps, parameter);
        return leftOut(parameter);
    }

    private StepReport leftOut(String parameter) {
        return new StepReport(steps, false, Double.NaN, 1, parameter, 0);
    }

    /** The plan for the parameters that are not frozen now. */
    private StepPlan plan() {
        if (plan != null && !isCurrent(plan)) {
            dropPlan();
        }
        if (plan == null) {
            List<Slot> active = new ArrayList<>();
            for (Slot slot : slots.values()) {
                if (!slot.parameter.isFrozen()) {
                    active.add(slot);
                }
            }
            if (active.isEmpty()) {
                throw new IllegalStateException(
                        slots.isEmpty()
                                ? "the optimizer has no parameters; add some before the first step"
                                : "all " + slots.size() + " parameters are frozen; there is nothing to step");
            }
            plan = batched
                    ? new BatchedStep(device, active, workspaceCap, stagingCap, this::ring)
                    : new TaskStep(device, active, workspaceCap, stateFile);
            plansMade++;
        }
        return plan;
    }

    /** What state that the host keeps passes through on its way to a GPU and back. */
    private @Nullable StateRing ring(StateLoads loads, List<List<StateSpan>> batches) {
        if (stagingCap == 0 || !(device instanceof CudaDevice gpu)) {
            return null;
        }
        return stateFile == null ? new HostRing(gpu, loads, batches) : new FileRing(gpu, stateFile, loads, batches);
    }

    private boolean isCurrent(StepPlan candidate) {
        if (!candidate.isCurrent()) {
            return false;
        }
        int active = 0;
        List<Slot> planned = candidate.slots();
        for (int i = 0; i < planned.size(); i++) {
            if (planned.get(i).parameter.isFrozen()) {
                return false;
            }
            active++;
        }
        for (Slot slot : slots.values()) {
            active -= slot.parameter.isFrozen() ? 0 : 1;
        }
        return active == 0;
    }

    /** How many plans were made, and on a GPU how many graphs are captured at most: for tests of what does not make another necessary. */
    int plansMade() {
        return plansMade;
    }

    private void dropPlan() {
        if (plan != null) {
            waitedNanos += plan.waitedNanos();
            plan.close();
            plan = null;
        }
    }

    /**
     * A group, to change its settings between steps.
     *
     * @throws IllegalArgumentException if there is no such group
     */
    public ParameterGroup group(String name) {
        ParameterGroup group = groups.get(name);
        if (group == null) {
            throw new IllegalArgumentException(
                    "there is no parameter group '" + name + "'; there are " + groups.keySet());
        }
        return group;
    }

    /** All groups, in the order in which they were added. */
    public List<ParameterGroup> groups() {
        return List.copyOf(groups.values());
    }

    /** All parameters, in the order in which they were added. */
    public List<Parameter> parameters() {
        acquire();
        try {
            return slots.values().stream().map(slot -> slot.parameter).toList();
        } finally {
            release();
        }
    }

    /**
     * The learning rate of a parameter in the next step: its group's, times the schedule's factor, times its multiplier; without Muon's adjustment.
     *
     * @throws IllegalArgumentException if there is no such parameter
     */
    public double learningRate(String parameter) {
        acquire();
        try {
            return slot(parameter).learningRate(schedule.factor(steps));
        } finally {
            release();
        }
    }

    /** The number of steps taken. */
    public long steps() {
        return steps;
    }

    /** Sets the number of steps taken, which the schedule goes by, when a run is resumed. */
    public void steps(long value) {
        if (value < 0) {
            throw new IllegalArgumentException("the number of steps is " + value + "; it must not be negative");
        }
        acquire();
        try {
            steps = value;
        } finally {
            release();
        }
    }

    /**
     * The state of a parameter (see {@link ParameterState} for whose memory it is): {@code momentum_buffer} for Muon, {@code exp_avg} and {@code exp_avg_sq} for AdamW, and
     * {@code master_weights} where there are some.
     *
     * @throws IllegalArgumentException if there is no such parameter
     */
    public ParameterState state(String parameter) {
        acquire();
        try {
            return slot(parameter).export();
        } finally {
            release();
        }
    }

    /**
     * The same arrays where they lie, without a copy: on a GPU segments of the length zero, which {@link dev.muonium.memory.DeviceMemory#copyOut} reads, unless the
     * host keeps the state. Valid until the parameter is removed or the optimizer closed; they change with every step.
     *
     * @throws IllegalArgumentException if there is no such parameter
     */
    public ParameterState stateInPlace(String parameter) {
        acquire();
        try {
            return slot(parameter).inPlace();
        } finally {
            release();
        }
    }

    /**
     * Copies a state that was read from {@link #state} (of this or another optimizer) into a parameter. Either all of it is copied or
     * nothing.
     *
     * @throws IllegalArgumentException if there is no such parameter, the state is of another format or size, or holds scales or
     *     FP32 values that are not finite
     */
    public void restore(String parameter, ParameterState state) {
        acquire();
        try {
            slot(parameter).restore(state);
        } finally {
            release();
        }
    }

    private Slot slot(String parameter) {
        Slot slot = slots.get(parameter);
        if (slot == null) {
            throw new IllegalArgumentException(
                    "the optimizer has no parameter '" + parameter + "'; it has " + slots.keySet());
        }
        return slot;
    }

    /** Bytes of optimizer state: codes and scales, without master weights. */
    public long stateBytes() {
        return stateBytesByOptimizer().values().stream()
                .mapToLong(Long::longValue)
                .sum();
    }

    /** Bytes of optimizer state under {@code muon} and {@code adamw}; only those that have parameters. */
    public Map<String, Long> stateBytesByOptimizer() {
        acquire();
        try {
            Map<String, Long> bytes = new LinkedHashMap<>();
            for (Slot slot : slots.values()) {
                bytes.merge(slot.group.spec().optimizer(), slot.stateBytes(), Long::sum);
            }
            return bytes;
        } finally {
            release();
        }
    }

    /** Bytes of FP32 master weights. */
    public long masterWeightBytes() {
        acquire();
        try {
            return slots.values().stream().mapToLong(Slot::masterBytes).sum();
        } finally {
            release();
        }
    }

    /** Bytes of Muon's workspace: 0 before the first step and after parameters were added or removed, until the next one. */
    public long workspaceBytes() {
        acquire();
        try {
            return plan == null ? 0 : plan.workspaceBytes();
        } finally {
            release();
        }
    }

    /** Nanoseconds that the steps so far waited for a GPU; what else they took was Java's and the driver's. 0 on a CPU. */
    public long waitedNanos() {
        acquire();
        try {
            return waitedNanos + (plan == null ? 0 : plan.waitedNanos());
        } finally {
            release();
        }
    }

    /** A table of all parameters: shape, group, optimizer, state format, learning rate of the next step, bytes of state. */
    public String describe() {
        acquire();
        try {
            double factor = schedule.factor(steps);
            return Description.of(slots.values(), factor);
        } finally {
            release();
        }
    }

    /** Returns when the state that was used is written to its file, if it has one. */
    void flushState() {
        if (stateFile != null) {
            stateFile.flush();
        }
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

    /** Frees state, master weights and workspace. A second call does nothing. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        acquire();
        try {
            closed = true;
            dropPlan();
            if (stateFile != null) {
                stateFile.close();
            }
            slots.values().forEach(Slot::close);
            slots.clear();
            if (stateFile != null) {
                stateFile.closeFile();
            }
        } finally {
            release();
        }
    }
}
