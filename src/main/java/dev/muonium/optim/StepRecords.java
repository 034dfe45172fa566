package dev.muonium.optim;

import dev.muonium.bindings.mu.Muonium;
import dev.muonium.bindings.mu.mu_adamw_item;
import dev.muonium.bindings.mu.mu_adamw_params;
import dev.muonium.bindings.mu.mu_gradient;
import dev.muonium.bindings.mu.mu_muon_item;
import dev.muonium.bindings.mu.mu_step;
import dev.muonium.device.BatchKernels;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The records that tell a device about a step, in the order of {@code native/include/muonium.h}: one {@code mu_step}, a
 * {@code mu_gradient} for each parameter, a {@code mu_muon_item} for each part of a matrix and a {@code mu_adamw_item} for each part of another array, those
 * of a launch behind each other. They exist twice: where the host writes them before every step, and where the device reads them; one
 * copy brings all of them across.
 *
 * <p>What never changes is written once, by {@code describe}; {@code update} writes the rest, and allocates nothing.
 */
final class StepRecords implements AutoCloseable {
    private final Device device;
    private final Tensor host;
    private final Tensor target;
    private final long muonOffset;
    private final long adamWOffset;
    private final MemorySegment hostStep;
    private final MemorySegment[] gradients;
    private final MemorySegment[] muon;
    private final MemorySegment[] adamW;
    private final MemorySegment[] adamWParams;

    StepRecords(Device device, int parameters, int matrices, int arrays) {
        this.device = device;
        this.muonOffset = mu_step.sizeof() + parameters * mu_gradient.sizeof();
        this.adamWOffset = muonOffset + matrices * mu_muon_item.sizeof();
        Shape shape = Shape.of((adamWOffset + arrays * mu_adamw_item.sizeof()) / Long.BYTES);
        String name = "records of a step";
        this.target = device.allocate(Purpose.OPTIMIZER_WORKSPACE, name, ElementType.I64, shape);
        try {
            this.host = device.memory().allocateStaging(Purpose.OPTIMIZER_WORKSPACE, name, ElementType.I64, shape);
        } catch (RuntimeException e) {
            target.close();
            throw e;
        }
        MemorySegment all = host.segment();
        this.hostStep = all.asSlice(0, mu_step.sizeof());
        this.gradients = slices(all, mu_step.sizeof(), mu_gradient.sizeof(), parameters);
        this.muon = slices(all, muonOffset, mu_muon_item.sizeof(), matrices);
        this.adamW = slices(all, adamWOffset, mu_adamw_item.sizeof(), arrays);
        this.adamWParams = new MemorySegment[arrays];
        for (int i = 0; i < arrays; i++) {
            adamWParams[i] = mu_adamw_item.params(adamW[i]);
        }
    }

    private static MemorySegment[] slices(MemorySegment all, long offset, long size, int count) {
        MemorySegment[] slices = new MemorySegment[count];
        for (int i = 0; i < count; i++) {
            slices[i] = all.asSlice(offset + i * size, size);
        }
        return slices;
    }

    /** Chunks of an array. */
    static long chunks(long elements) {
        return (elements + BatchKernels.CHUNK - 1) / BatchKernels.CHUNK;
    }

    /** Describes the gradients of all parameters; returns their chunks. */
    long describeGradients(List<Slot> slots) {
        long chunk = 0;
        for (int i = 0; i < gradients.length; i++) {
            Slot slot = slots.get(i);
            mu_gradient.elements(gradients[i], slot.elements());
            mu_gradient.first_chunk(gradients[i], chunk);
            mu_gradient.limit(gradients[i], slot.largestGradient());
            mu_gradient.type(
                    gradients[i],
                    slot.parameter.gradientType() == ElementType.BF16 ? Muonium.MU_BF16() : Muonium.MU_F32());
            chunk += chunks(slot.elements());
        }
        return chunk;
    }

    /**
     * Describes a part of a range of momentum that is updated by a launch: the range's elements up to {@code part.end()}, and its chunks from that of
     * {@code part.begin()} on. Addresses are those of the whole range, of which only the part's need to be there.
     *
     * @param index its number among all records of matrices
     * @param firstChunk the chunks of those before it in its launch
     * @param state where the part's state is
     * @param update where u of the range goes
     */
    void describeMomentum(int index, StateLoads.Part part, long firstChunk, PlacedState state, MemorySegment update) {
        MemorySegment item = muon[index];
        mu_muon_item.momentum(item, state.codes(0));
        mu_muon_item.scales(item, state.scales(0));
        mu_muon_item.update(item, update);
        describePart(item, part, firstChunk);
    }

    /**
     * Describes a part of a matrix whose weights are updated by a launch, which may be in the same record as its momentum. Addresses are those of the whole matrix, so that an
     * element has the same number, and with it the same rounding, however the matrix is cut.
     *
     * @param direction where O of the matrix will be
     */
    void describeWeights(int index, MuonPiece piece, StateLoads.Part part, long firstChunk, MemorySegment direction) {
        MemorySegment item = muon[index];
        mu_muon_item.direction(item, direction);
        mu_muon_item.weights(item, piece.weights);
        mu_muon_item.master(item, orNull(piece.master));
        mu_muon_item.rounding_parameter(item, piece.key());
        mu_muon_item.stochastic(item, piece.slot.roundsStochastically() ? 1 : 0);
        describePart(item, part, firstChunk);
    }

    private static void describePart(MemorySegment item, StateLoads.Part part, long firstChunk) {
        mu_muon_item.elements(item, part.end());
        mu_muon_item.first_chunk(item, firstChunk - part.begin() / BatchKernels.CHUNK);
    }

    /** Describes a part of an array of AdamW; see {@link #describeMomentum}. */
    void describeArray(int index, AdamWSlot slot, StateLoads.Part part, long firstChunk, PlacedState state) {
        MemorySegment item = adamW[index];
        mu_adamw_item.weights(item, slot.parameter.weights());
        mu_adamw_item.master(item, orNull(slot.master()));
        mu_adamw_item.m(item, state.codes(0));
        mu_adamw_item.m_scales(item, state.scales(0));
        mu_adamw_item.v(item, state.codes(1));
        mu_adamw_item.v_scales(item, state.scales(1));
        mu_adamw_item.elements(item, part.end());
        mu_adamw_item.first_chunk(item, firstChunk - part.begin() / BatchKernels.CHUNK);
        mu_adamw_item.rounding_parameter(item, slot.key());
        mu_adamw_item.stochastic(item, slot.roundsStochastically() ? 1 : 0);
    }

    private static MemorySegment orNull(@Nullable MemorySegment segment) {
        return segment == null ? MemorySegment.NULL : segment;
    }

    /** Writes what is asked of the coming step. */
    void updateStep(double gradientScale, double clipNorm, long seed) {
        mu_step.gradient_scale(hostStep, gradientScale);
        mu_step.clip_norm(hostStep, clipNorm);
        mu_step.clip_epsilon(hostStep, StepPlan.CLIP_EPSILON);
        mu_step.seed(hostStep, seed);
    }

    /** Writes where a gradient lies now. */
    void updateGradient(int index, Slot slot) {
        mu_gradient.gradient(gradients[index], slot.parameter.gradient());
    }

    /** Writes where the gradient of a range of a parameter lies now, and how much of its momentum is kept. */
    void updateMomentum(int index, StateSpan span) {
        Slot slot = span.slot();
        MemorySegment item = muon[index];
        long begin = span.begin() * slot.parameter.gradientType().byteSize();
        item.set(ValueLayout.JAVA_LONG, mu_muon_item.gradient$offset(), slot.parameter.gradientBegin() + begin);
        mu_muon_item.beta(item, slot.group.momentum());
    }

    /** Writes what is a matrix's own in the coming step, for which its slot was prepared. */
    void updateWeights(int index, MuonPiece piece) {
        MemorySegment item = muon[index];
        mu_muon_item.decay(item, piece.slot.decay());
        mu_muon_item.rate(item, piece.rate());
        mu_muon_item.rounding_step(item, piece.slot.steps());
    }

    /** Writes what is an array's own in the coming step, for which its slot was prepared. */
    void updateArray(int index, AdamWSlot slot) {
        slot.setScalars(1); // the device takes the gradient scale from mu_step
        MemorySegment.copy(slot.scalars.segment(), 0, adamWParams[index], 0, mu_adamw_params.sizeof());
        mu_adamw_item.gradient(adamW[index], slot.parameter.gradient());
        mu_adamw_item.rounding_step(adamW[index], slot.steps());
    }

    /** Starts the copy to the device. */
    void stageIn() {
        device.memory().stageIn(host.segment(), target.segment(), host.byteSize());
    }

    /** Starts the copy of {@code mu_step} back. */
    void stageOut() {
        device.memory().stageOut(target.segment(), host.segment(), mu_step.sizeof());
    }

    /** The {@code mu_step} on the host: after a {@link #stageOut} that is done, what the sweep decided. */
    MemorySegment decided() {
        return hostStep;
    }

    /** The {@code mu_step} that the device reads and writes. */
    MemorySegment step() {
        return slice(0, mu_step.sizeof());
    }

    /** The records of all gradients. */
    MemorySegment gradients() {
        return slice(mu_step.sizeof(), gradients.length * mu_gradient.sizeof());
    }

    /** The records of matrices. */
    MemorySegment matrices(int first, int count) {
        return slice(muonOffset + first * mu_muon_item.sizeof(), count * mu_muon_item.sizeof());
    }

    /** The records of arrays of AdamW. */
    MemorySegment arrays(int first, int count) {
        return slice(adamWOffset + first * mu_adamw_item.sizeof(), count * mu_adamw_item.sizeof());
    }

    private MemorySegment slice(long offset, long bytes) {
        return device.memory().slice(target.segment(), offset, bytes);
    }

    long byteSize() {
        return host.byteSize() + target.byteSize();
    }

    @Override
    public void close() {
        host.close();
        target.close();
    }
}
