package dev.muonium.ortho;

import dev.muonium.device.Device;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * The coefficients of an iteration in the memory of its device: those of the first step for each matrix, which the device writes
 * because they take up the norm, and those of the others once. Each step has triples for {@code c0·I + c1·A + c2·A²}:
 * {@code (a, b, c)}, and {@code (0, b, c)} for where {@code a·X} is added apart. Steps of a degree above 5 have {@code (a, b, 1)} and
 * {@code (0, b, 1)} instead, and {@code (c, d, e)} for the factor of {@code A²}.
 */
final class CoefficientTable implements AutoCloseable {
    private static final long TRIPLE = 3;
    private static final int PER_STEP = 3;

    private final DeviceMemory memory;
    private final Tensor floats;
    private final long count;
    private final List<Coefficients> steps;

    CoefficientTable(Device device, CoefficientSchedule schedule, long count) {
        this.memory = device.memory();
        this.count = count;
        this.steps = schedule.steps();
        if (!steps.getFirst().isQuintic()) {
            throw new UnsupportedOperationException("schedule '" + schedule.name()
                    + "' begins with a polynomial of a degree above 5, whose coefficients a GPU cannot normalize; let a"
                    + " quintic come first");
        }
        this.floats = device.allocate(
                Purpose.OPTIMIZER_WORKSPACE,
                "coefficients of Newton-Schulz",
                ElementType.F32,
                Shape.of(firstOfLater() + PER_STEP * TRIPLE * steps.size()));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment constants = arena.allocate(ValueLayout.JAVA_FLOAT, PER_STEP * TRIPLE * steps.size());
            // In place of the first step's, which are each matrix's own: a product without a polynomial.
            set(constants, 0, 0, 0, 1);
            for (int step = 1; step < steps.size(); step++) {
                Coefficients coefficients = steps.get(step);
                double last = coefficients.isQuintic() ? coefficients.c() : 1;
                long first = (long) PER_STEP * step;
                set(constants, first, coefficients.a(), coefficients.b(), last);
                set(constants, first + 1, 0, coefficients.b(), last);
                set(constants, first + 2, coefficients.c(), coefficients.d(), coefficients.e());
            }
            memory.copyIn(constants, 0, floats.segment(), firstOfLater() * Float.BYTES, constants.byteSize());
        } catch (RuntimeException e) {
            floats.close();
            throw e;
        }
    }

    private static void set(MemorySegment constants, long triple, double c0, double c1, double c2) {
        constants.setAtIndex(ValueLayout.JAVA_FLOAT, triple * TRIPLE, (float) c0);
        constants.setAtIndex(ValueLayout.JAVA_FLOAT, triple * TRIPLE + 1, (float) c1);
        constants.setAtIndex(ValueLayout.JAVA_FLOAT, triple * TRIPLE + 2, (float) c2);
    }

    private long firstOfLater() {
        return 2 * TRIPLE * count;
    }

    /** {@code (0, 0, 1)}: a product and nothing else. */
    MemorySegment product() {
        return slice(firstOfLater(), TRIPLE);
    }

    /** Whether a step is of degree 5 or less. */
    boolean isQuintic(int step) {
        return steps.get(step).isQuintic();
    }

    /** {@code (c, d, e)} of a step that is not the first. */
    MemorySegment factor(int step) {
        return slice(firstOfLater() + PER_STEP * TRIPLE * step + 2 * TRIPLE, TRIPLE);
    }

    /** {@code (a, b, c)} of a step, or {@code (a, b, 1)}, {@link #stride} apart. */
    MemorySegment withIdentity(int step) {
        return step == 0 ? slice(0, TRIPLE * count) : slice(firstOfLater() + PER_STEP * TRIPLE * step, TRIPLE);
    }

    /** {@code (0, b, c)} of a step, or {@code (0, b, 1)}, {@link #stride} apart. */
    MemorySegment apart(int step) {
        return step == 0
                ? slice(TRIPLE * count, TRIPLE * count)
                : slice(firstOfLater() + PER_STEP * TRIPLE * step + TRIPLE, TRIPLE);
    }

    /** Floats from one matrix's coefficients of a step to the next: 0 where all have the same. */
    long stride(int step) {
        return step == 0 ? TRIPLE : 0;
    }

    /** {@code (b, c)} of the first step: what {@link #apart} of it takes from {@link #withIdentity}. */
    MemorySegment firstPair() {
        return slice(1, TRIPLE * count - 1);
    }

    /** Where {@link #firstPair} goes. */
    MemorySegment firstPairApart() {
        return slice(TRIPLE * count + 1, TRIPLE * count - 1);
    }

    /** A 1, to multiply by. */
    MemorySegment one() {
        return slice(firstOfLater() + 2, 1);
    }

    long byteSize() {
        return floats.byteSize();
    }

    private MemorySegment slice(long from, long length) {
        return memory.slice(floats.segment(), from * Float.BYTES, length * Float.BYTES);
    }

    @Override
    public void close() {
        floats.close();
    }
}
