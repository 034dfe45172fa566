package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.device.Rounding;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A matrix that Muon orthogonalizes by itself: one of {@link Parameter#matrices}. It has its own norm, iteration, learning rate and key of stochastic rounding, and a
 * range of its parameter's memory; gradient and state are the parameter's.
 *
 * <p>Of the state, the blocks that lie in it as a whole are updated with it ({@link #inner}). A block that reaches over its border has been updated before, by
 * {@link BorderBlocks}, and its elements of u are copied from there: the first {@link #lead} of the matrix, and the last {@link #tail}.
 */
final class MuonPiece {
    final MuonSlot slot;
    final long begin;
    final long rows;
    final long cols;
    final double adjustment;
    final StateSpan inner;
    final MemorySegment weights;
    final @Nullable MemorySegment master;
    final @Nullable Rounding rounding;
    private final int index;
    private @Nullable MemorySegment boundGradient;
    private @Nullable ElementType boundType;
    private MemorySegment gradient = MemorySegment.NULL;
    private float rate;

    /**
     * @param index among those of its parameter
     * @param begin its first element in the parameter
     */
    MuonPiece(Device device, MuonSlot slot, int index, long begin, Shape shape) {
        this.slot = slot;
        this.index = index;
        this.begin = begin;
        this.rows = shape.extent(0);
        this.cols = shape.extent(1);
        this.adjustment = slot.spec.adjustment().factor(rows, cols);
        this.inner = inner(slot, begin, shape.elements());
        DeviceMemory memory = device.memory();
        ElementType type = slot.parameter.weightType();
        this.weights = memory.slice(slot.parameter.weights(), begin * type.byteSize(), elements() * type.byteSize());
        MemorySegment wholeMaster = slot.master();
        this.master =
                wholeMaster == null ? null : memory.slice(wholeMaster, begin * Float.BYTES, elements() * Float.BYTES);
        this.rounding = rounding(device, slot, index);
    }

    /** Kernels read the key while they run, and run on several matrices of a parameter at a time: each has its own. */
    private static @Nullable Rounding rounding(Device device, MuonSlot slot, int index) {
        if (index == 0 || slot.rounding() == null) {
            return slot.rounding();
        }
        Rounding own = device.kernels().newRounding();
        slot.onClose(own::close);
        return own;
    }

    private static StateSpan inner(MuonSlot slot, long begin, long elements) {
        BorderBlocks.Inner inner = BorderBlocks.inner(begin, begin + elements, slot.elements(), slot.stateUnit());
        return new StateSpan(slot, inner.begin(), inner.end());
    }

    long elements() {
        return rows * cols;
    }

    long end() {
        return begin + elements();
    }

    /** How many of its first elements lie in a block that begins before it. */
    long lead() {
        return inner.begin() - begin;
    }

    /** How many of its last elements lie in a block that ends behind it. */
    long tail() {
        return end() - inner.end();
    }

    /** The block that its lead lies in. */
    StateSpan leadBlock() {
        return BorderBlocks.at(slot, begin);
    }

    /** The block that its tail lies in, from the beginning of the block on. */
    StateSpan tailBlock() {
        return BorderBlocks.at(slot, inner.end());
    }

    /** Whether a block of state reaches over one of its borders. */
    boolean isEdged() {
        return lead() + tail() > 0;
    }

    /** What the key of stochastic rounding follows. An element's number is that in the matrix. */
    long key() {
        return slot.key() + index;
    }

    void keyRounding(long seed) {
        if (rounding != null) {
            rounding.set(seed, slot.steps(), key());
        }
    }

    /**
     * Whether a kernel cannot count its elements from the parameter's first: ranges begin at borders of blocks, also where there are none because the
     * state is FP32.
     */
    boolean countsFromItsOwn() {
        return slot.stateUnit() == 1 && begin % slot.momentum.block() != 0;
    }

    /** Follows the gradient that is bound now, for a matrix that counts from its own first element. */
    void bindGradient() {
        MemorySegment bound = slot.parameter.gradient();
        ElementType type = slot.parameter.gradientType();
        if (countsFromItsOwn()
                && (!bound.equals(boundGradient) || !bound.scope().equals(gradient.scope()) || type != boundType)) {
            gradient = bound.asSlice(begin * type.byteSize(), elements() * type.byteSize());
            boundGradient = bound;
            boundType = type;
        }
    }

    /** Its part of the gradient; see {@link #bindGradient}. */
    MemorySegment gradient() {
        return gradient;
    }

    /** Computes the constants of the coming step. */
    void prepare(double learningRate) {
        rate = slot.requireFinite("the adjusted learning rate", learningRate * adjustment);
    }

    /** What O is multiplied by in the step that was prepared. */
    float rate() {
        return rate;
    }
}
