package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.device.Rounding;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Tensor;
import dev.muonium.quant.QuantizedTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A parameter in an optimizer, with the state that it owns. */
abstract sealed class Slot implements AutoCloseable permits MuonSlot, AdamWSlot {
    final Parameter parameter;
    final ParameterGroup group;
    private final RoundedWeights rounded;
    private final DeviceMemory memory;
    private final List<Runnable> releases = new ArrayList<>();
    private MemorySegment knownGradient;
    private ElementType knownType;
    private long steps;

    Slot(Device device, Parameter parameter, ParameterGroup group, WeightRounding weightRounding) {
        this.parameter = parameter;
        this.group = group;
        this.memory = device.memory();
        parameter.requireOn(memory);
        this.knownGradient = parameter.gradient();
        this.knownType = parameter.gradientType();
        this.rounded = new RoundedWeights(
                device,
                parameter.name(),
                parameter.weights(),
                parameter.weightType(),
                parameter.shape(),
                weightRounding);
        onClose(rounded::close);
    }

    /**
     * Registers what {@link #close} frees, the last first: right after it was made, so that a constructor that fails half-way leaks
     * nothing.
     */
    final void onClose(Runnable release) {
        releases.add(release);
    }

    /** The arrays of state, without the master weights, under the names that other frameworks use. */
    abstract List<NamedState> state();

    /** An array of state and its name. */
    record NamedState(String name, QuantizedTensor tensor) {}

    final @Nullable MemorySegment master() {
        Tensor master = rounded.master();
        return master == null ? null : master.segment();
    }

    final @Nullable Rounding rounding() {
        return rounded.rounding();
    }

    final long elements() {
        return parameter.shape().elements();
    }

    final long steps() {
        return steps;
    }

    final void stepTaken() {
        steps++;
    }

    /**
     * Checks, before a step changes anything, that weights and gradient are still there, and that a gradient that was bound since is
     * memory of this device.
     */
    final void requireUsable() {
        parameter.requireAlive();
        MemorySegment gradient = parameter.gradient();
        if (!gradient.equals(knownGradient)
                || !gradient.scope().equals(knownGradient.scope())
                || parameter.gradientType() != knownType) {
            parameter.requireOn(memory);
            knownGradient = gradient;
            knownType = parameter.gradientType();
        }
    }

    /** What the key of stochastic rounding follows: the parameter's name. */
    final long key() {
        return rounded.key();
    }

    /** Whether the weights are BF16 without a copy in FP32, and rounded up or down by chance. */
    final boolean roundsStochastically() {
        return rounded.rounding() != null;
    }

    /** Sets what kernels read in the coming step. */
    final void keyRounding(long seed) {
        rounded.keyRounding(seed, steps, 0);
    }

    /**
     * Computes the constants of the coming step, before anything is changed.
     *
     * @param factor the schedule's
     * @throws IllegalArgumentException if one is not finite in FP32
     */
    abstract void prepare(double factor);

    /** The largest magnitude of a gradient, scaled, with which the step's own arithmetic does not overflow. */
    abstract double largestGradient();

    /** {@code 1 - lr·λ}, in FP32. */
    final float decay(double learningRate) {
        return requireFinite("the factor of weight decay, 1 - lr·λ,", 1 - learningRate * group.weightDecay());
    }

    /** Rounds a constant of the coming step to FP32. */
    final float requireFinite(String what, double value) {
        float rounded = (float) value;
        if (!Float.isFinite(rounded)) {
            throw new IllegalArgumentException(what + " of parameter '" + parameter.name() + "' is " + value
                    + " in this step, which FP32 cannot hold; lower the learning rate of group '" + group.name()
                    + "' (" + group.learningRate() + "), the parameter's multiplier ("
                    + parameter.learningRateMultiplier() + ") or the weight decay (" + group.weightDecay() + ")");
        }
        return rounded;
    }

    /** The learning rate of the coming step, before Muon's adjustment. */
    final double learningRate(double factor) {
        return group.learningRate() * factor * parameter.learningRateMultiplier();
    }

    final long stateBytes() {
        long bytes = 0;
        for (NamedState named : state()) {
            bytes += named.tensor().byteSize();
        }
        return bytes;
    }

    final long masterBytes() {
        Tensor master = rounded.master();
        return master == null ? 0 : master.byteSize();
    }

    /** For the table of {@link Optimizer#describe}, for example {@code int8 linear/128}. */
    final String formats() {
        List<String> texts = new ArrayList<>();
        for (NamedState named : state()) {
            QuantizedTensor tensor = named.tensor();
            String text = switch (tensor.format()) {
                case F32 -> "fp32";
                case INT8_LINEAR -> "int8 linear/" + tensor.block();
                case INT8_DYNAMIC_SIGNED, INT8_DYNAMIC_UNSIGNED -> "int8 dynamic/" + tensor.block();
                case FP8_E4M3, FP8_E5M2 -> throw new AssertionError("optimizer state is never FP8");
            };
            if (!texts.contains(text)) {
                texts.add(text);
            }
        }
        return String.join(" + ", texts);
    }

    /** Views of the memory where Java can read it, else copies. */
    final ParameterState export() {
        List<StateTensor> tensors = live();
        return new ParameterState(
                steps,
                memory.isHost() ? tensors : tensors.stream().map(this::copyOut).toList());
    }

    /** The arrays where they lie, on a GPU as well. */
    final ParameterState inPlace() {
        return new ParameterState(steps, live());
    }

    /** The arrays where they lie. */
    private List<StateTensor> live() {
        List<StateTensor> tensors = new ArrayList<>();
        for (NamedState named : state()) {
            QuantizedTensor tensor = named.tensor();
            tensors.add(new StateTensor(
                    named.name(), tensor.format(), tensor.block(), tensor.elements(), tensor.codes(), tensor.scales()));
        }
        MemorySegment master = master();
        if (master != null) {
            tensors.add(new StateTensor(
                    "master_weights", BlockFormat.F32, BlockFormat.DEFAULT_BLOCK, elements(), master, null));
        }
        return tensors;
    }

    private StateTensor copyOut(StateTensor from) {
        MemorySegment scales = from.scales();
        return new StateTensor(
                from.name(),
                from.format(),
                from.block(),
                from.elements(),
                copyOut(from.codes(), codeBytes(from)),
                scales == null ? null : copyOut(scales, scaleBytes(from)));
    }

    private MemorySegment copyOut(MemorySegment from, long bytes) {
        MemorySegment copy = Arena.ofAuto().allocate(bytes, Double.BYTES);
        if (isOnHost(from)) {
            return copy.copyFrom(from.asSlice(0, bytes));
        }
        memory.copyOut(from, 0, copy, 0, bytes);
        return copy;
    }

    /** Segments of a GPU have no length; state that it keeps in memory of the host has. Every step waits for the GPU, so it is there. */
    private static boolean isOnHost(MemorySegment segment) {
        return segment.byteSize() > 0;
    }

    private void copyIn(MemorySegment from, MemorySegment to, long bytes) {
        if (isOnHost(to)) {
            MemorySegment.copy(from, 0, to, 0, bytes);
        } else {
            memory.copyIn(from, 0, to, 0, bytes);
        }
    }

    private static long codeBytes(StateTensor tensor) {
        return tensor.elements() * tensor.format().codeType().byteSize();
    }

    private static long scaleBytes(StateTensor tensor) {
        return tensor.format().scales(tensor.elements(), tensor.block()) * Float.BYTES;
    }

    /** Checks all of {@code from} before it copies any of it. */
    final void restore(ParameterState from) {
        List<StateTensor> own = live();
        for (StateTensor target : own) {
            StateTensor source = from.tensor(target.name());
            requireSame(target, source);
            requireUsable(source);
        }
        for (StateTensor target : own) {
            StateTensor source = from.tensor(target.name());
            copyIn(source.codes(), target.codes(), codeBytes(target));
            if (target.scales() != null && source.scales() != null) {
                copyIn(source.scales(), target.scales(), scaleBytes(target));
            }
        }
        steps = from.step();
    }

    private void requireSame(StateTensor target, StateTensor source) {
        boolean sameBlock = source.block() == target.block() || !target.format().isScaled();
        if (source.format() != target.format() || !sameBlock || source.elements() != target.elements()) {
            throw new IllegalArgumentException(
                    "the state '" + target.name() + "' of parameter '" + parameter.name() + "' is "
                            + form(target) + " here and " + form(source)
                            + " where it comes from; build the group with the format that it was saved in");
        }
        requireBytes(target.name(), codeBytes(target), source.codes());
        if (target.scales() != null) {
            requireBytes(target.name() + ".scales", scaleBytes(target), source.scales());
        }
    }

    private void requireBytes(String name, long needed, @Nullable MemorySegment source) {
        if (source == null || source.byteSize() < needed) {
            throw new IllegalArgumentException("the state '" + name + "' of parameter '" + parameter.name() + "' has "
                    + (source == null ? 0 : source.byteSize()) + " bytes where it comes from; it needs " + needed);
        }
    }

    /** A scale or FP32 value that is not finite, or negative where the formula has squares, would never leave the state again. */
    private void requireUsable(StateTensor source) {
        if (source.scales() != null) {
            requireFinite(
                    source.name() + ".scales",
                    source.scales(),
                    source.format().scales(source.elements(), source.block()),
                    0);
        } else {
            boolean isVariance = source.name().equals("exp_avg_sq");
            requireFinite(source.name(), source.codes(), source.elements(), isVariance ? 0 : -Float.MAX_VALUE);
        }
    }

    private void requireFinite(String name, MemorySegment values, long count, float least) {
        for (long i = 0; i < count; i++) {
            float value = values.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i);
            if (!(value >= least && value <= Float.MAX_VALUE)) {
                throw new IllegalArgumentException(
                        "the state '" + name + "' of parameter '" + parameter.name() + "' holds " + value + " at " + i
                                + "; it must be finite" + (least == 0 ? " and not negative" : ""));
            }
        }
    }

    private static String form(StateTensor tensor) {
        return tensor.elements() + " elements of " + tensor.format()
                + (tensor.format().isScaled() ? " in blocks of " + tensor.block() : "");
    }

    /** Frees all that it owns. A second call does nothing. */
    @Override
    public final void close() {
        while (!releases.isEmpty()) {
            releases.removeLast().run();
        }
    }
}
