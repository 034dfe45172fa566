package dev.muonium.device;

import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * An FP8 product that is ready to run: its operands are coded, then it runs; made once by {@link Device#fp8Matmul}, used any number of
 * times. Everything is put into the device's stream; the host waits for nothing, and scales stay on the device. Belongs to its device,
 * which closes it.
 */
public interface Fp8Matmul {
    /** What it computes. */
    Fp8Spec spec();

    /** Which elements share a scale. */
    Fp8Scaling scaling();

    /**
     * Codes A.
     *
     * @param operand with room for {@link Fp8Spec#aCodes} and {@link Fp8Spec#aScales}
     * @param x {@code m × k}, or {@code k × m} where it is transposed; dense
     * @param type of x, F32 or BF16
     */
    void codeA(Fp8Operand operand, MemorySegment x, ElementType type, boolean transposed);

    /** Codes B from {@code n × k}, or {@code k × n} where it is transposed; as {@link #codeA}. */
    void codeB(Fp8Operand operand, MemorySegment x, ElementType type, boolean transposed);

    /** Whether an operand holds this A, coded from the same place by a product with the same A: not whether that has changed since. */
    boolean holdsA(Fp8Operand operand, MemorySegment x, boolean transposed);

    /** The same of B. */
    boolean holdsB(Fp8Operand operand, MemorySegment x, boolean transposed);

    /**
     * Multiplies.
     *
     * @param a what {@link #codeA} left
     * @param b what {@link #codeB} left
     * @param c {@code m × n} of {@code cType}
     * @param beside room for {@link Fp8Spec#resultElements} of {@code cType}, which is needed where {@link Fp8Spec#isPadded} or {@code c} does not
     *     begin at a multiple of 16 bytes; an accumulating product that uses it rounds to {@code cType} once more
     * @throws IllegalStateException if an operand holds something else
     * @throws IllegalArgumentException if {@code beside} is needed and null
     */
    void run(Fp8Operand a, Fp8Operand b, MemorySegment c, @Nullable MemorySegment beside);
}
