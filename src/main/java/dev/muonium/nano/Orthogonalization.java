package dev.muonium.nano;

import dev.muonium.ortho.CoefficientSchedule;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.ortho.NormConvention;
import org.jspecify.annotations.Nullable;

/**
 * How Muon orthogonalizes.
 *
 * @param nsSchedule {@value #AUTO} for the library's choice, or a name that {@link CoefficientSchedule#named} knows
 * @param nsNorm what its input is divided by
 */
public record Orthogonalization(String nsSchedule, Norm nsNorm) {
    /** What the library takes by default. */
    public static final String AUTO = "auto";

    /** By which norm the input of Newton-Schulz is divided. */
    public enum Norm {
        /** What the library takes by default. */
        AUTO,
        /** {@link NormConvention#ADD_EPSILON}. */
        FROBENIUS,
        /** {@link NormConvention#GRAM}. */
        GRAM
    }

    /** Checks the schedule's name. */
    public Orthogonalization {
        if (!nsSchedule.equals(AUTO)) {
            try {
                CoefficientSchedule.named(nsSchedule);
            } catch (IllegalArgumentException e) {
                throw new IllegalArgumentException("ns_schedule is \"" + nsSchedule + "\": " + e.getMessage(), e);
            }
        }
    }

    /** The library's choice. */
    public static Orthogonalization auto() {
        return new Orthogonalization(AUTO, Norm.AUTO);
    }

    /** The iteration, or null for what the library takes on the device. */
    @Nullable
    NewtonSchulz newtonSchulz() {
        if (equals(auto())) {
            return null;
        }
        NewtonSchulz library = NewtonSchulz.fourSteps();
        NewtonSchulz chosen =
                nsSchedule.equals(AUTO) || nsSchedule.equals(library.schedule().name())
                        ? library
                        : NewtonSchulz.defaults().schedule(CoefficientSchedule.named(nsSchedule));
        return switch (nsNorm) {
            case AUTO -> chosen;
            case FROBENIUS -> chosen.norm(NormConvention.ADD_EPSILON);
            case GRAM -> chosen.norm(NormConvention.GRAM);
        };
    }
}
