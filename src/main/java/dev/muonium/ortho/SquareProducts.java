package dev.muonium.ortho;

import java.util.Locale;

/**
 * How {@link BatchedNewtonSchulz} computes a product that is known to be symmetric, such as {@code X·Xᵀ}. The results differ in
 * rounding only. The polynomial {@code a·I + b·A + c·A²} always goes through the kernel, which rounds it once.
 *
 * <p>Which is fastest depends on the GPU: our kernel does half of the work with the matrix instructions that every GPU since
 * Ampere has, while cuBLAS has Hopper's and Blackwell's own, which are up to twice as fast. The default is {@link HalfWork};
 * the system property {@value #PROPERTY} changes it, so that a benchmark can compare.
 */
public sealed interface SquareProducts {
    /** Names the choice: {@code kernel}, {@code panels/N} or {@code full}. */
    String PROPERTY = "muonium.squares";

    /** Our kernel: only the upper tiles, and their mirror. */
    record HalfWork() implements SquareProducts {
        @Override
        public String toString() {
            return "kernel";
        }
    }

    /**
     * The device's matrix products on panels of rows, each from its diagonal block to the right: {@code (panels + 1) / (2·panels)} of
     * the work. Then the mirror.
     *
     * @param panels from 2 to 64
     */
    record Panels(int panels) implements SquareProducts {
        /** Checks the number. */
        public Panels {
            if (panels < 2 || panels > 64) {
                throw new IllegalArgumentException(
                        "a symmetric product has " + panels + " panels; it must have from 2 to 64");
            }
        }

        @Override
        public String toString() {
            return "panels/" + panels;
        }
    }

    /** The device's matrix products, all of the work. */
    record Full() implements SquareProducts {
        @Override
        public String toString() {
            return "full";
        }
    }

    /** What {@value #PROPERTY} names, else {@link HalfWork}. */
    static SquareProducts ofProperty() {
        return parse(System.getProperty(PROPERTY, "kernel"));
    }

    /**
     * The choice of a name.
     *
     * @throws IllegalArgumentException if there is none of that name
     */
    static SquareProducts parse(String text) {
        String name = text.strip().toLowerCase(Locale.ROOT);
        if (name.equals("kernel")) {
            return new HalfWork();
        }
        if (name.equals("full")) {
            return new Full();
        }
        if (name.matches("panels/\\d{1,3}")) {
            return new Panels(Integer.parseInt(name.substring(name.indexOf('/') + 1)));
        }
        throw new IllegalArgumentException(
                PROPERTY + " is '" + text + "'; kernel, panels/N (for example panels/4) or full is expected");
    }
}
