package dev.muonium.ortho;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import org.jspecify.annotations.Nullable;

/**
 * What a Newton-Schulz iteration computes and how: {@code X = U/‖U‖}, then one polynomial of the schedule per step, which drives
 * every singular value towards 1 and so X towards the polar factor of U. Immutable; the methods with an argument return a changed copy.
 *
 * <p>Where precision or way are left open, they are chosen per device and shape:
 * <ul>
 *   <li>precision: BF16 where the device multiplies it faster than FP32, else FP32;
 *   <li>way: {@link Way.Symmetric} for matrices whose longer side is less than 1.5 times the shorter, else {@link Way.Gram},
 *       with a restart after every 2 steps in BF16 (after 3, errors of 30 % were seen) and after every 3 in FP32. Shape and
 *       precision alone decide, so the choice is the same on every machine of one precision.
 * </ul>
 *
 * @param schedule the polynomials
 * @param norm how the input is normalized
 * @param epsilon what keeps the norm away from 0, positive
 * @param precision the type of the iterates, F32 or BF16, or null to choose per device
 * @param way the way of evaluating, or null to choose per shape
 */
public record NewtonSchulz(
        CoefficientSchedule schedule,
        NormConvention norm,
        double epsilon,
        @Nullable ElementType precision,
        @Nullable Way way) {

    /** Below this ratio of the sides, the Gram iteration does no less work than the symmetric way, and rounds more. */
    private static final double GRAM_RATIO = 1.5;

    /** Checks precision and epsilon. */
    public NewtonSchulz {
        if (precision != null && precision != ElementType.F32 && precision != ElementType.BF16) {
            throw new IllegalArgumentException(
                    "the precision of Newton-Schulz is " + precision + "; it must be F32 or BF16");
        }
        if (!(epsilon >= 1e-30 && epsilon <= 1)) {
            throw new IllegalArgumentException(
                    "the epsilon of Newton-Schulz is " + epsilon + "; it must be from 1e-30 to 1");
        }
    }

    /** Keller's five steps, {@code U/(‖U‖ + 1e-7)}, as in torch's Muon, and what {@code Muon} takes by default on a GPU; precision and way chosen per device and shape. */
    public static NewtonSchulz defaults() {
        return new NewtonSchulz(CoefficientSchedule.keller(), NormConvention.ADD_EPSILON, 1e-7, null, null);
    }

    /**
     * What {@code Muon} takes by default on a CPU: {@link CoefficientSchedule#fourSteps} of an input that is normalized by its Gram matrix; precision
     * and way chosen per device and shape.
     */
    public static NewtonSchulz fourSteps() {
        return new NewtonSchulz(CoefficientSchedule.fourSteps(), NormConvention.GRAM, 1e-7, null, null);
    }

    /** A copy with other polynomials. */
    public NewtonSchulz schedule(CoefficientSchedule newSchedule) {
        return new NewtonSchulz(newSchedule, norm, epsilon, precision, way);
    }

    /** A copy that normalizes its input otherwise. */
    public NewtonSchulz norm(NormConvention newNorm) {
        return new NewtonSchulz(schedule, newNorm, epsilon, precision, way);
    }

    /** A copy with another epsilon, from 1e-30 to 1. */
    public NewtonSchulz epsilon(double newEpsilon) {
        return new NewtonSchulz(schedule, norm, newEpsilon, precision, way);
    }

    /** A copy that iterates in F32 or BF16, whatever the device. */
    public NewtonSchulz precision(ElementType newPrecision) {
        return new NewtonSchulz(schedule, norm, epsilon, newPrecision, way);
    }

    /** A copy that is evaluated in one way, whatever the shape. */
    public NewtonSchulz way(Way newWay) {
        return new NewtonSchulz(schedule, norm, epsilon, precision, newWay);
    }

    /** The type of the iterates on a device. */
    public ElementType precisionOn(Device device) {
        if (precision != null) {
            return precision;
        }
        return device.isFast(ElementType.BF16) ? ElementType.BF16 : ElementType.F32;
    }

    /** The way in which a matrix of {@code rows × cols} is evaluated in a precision. */
    public Way wayFor(long rows, long cols, ElementType iterates) {
        if (way != null) {
            return way;
        }
        double ratio = (double) Math.max(rows, cols) / Math.min(rows, cols);
        if (ratio < GRAM_RATIO) {
            return Way.symmetric();
        }
        return Way.gram(iterates == ElementType.BF16 ? 2 : 3);
    }
}
