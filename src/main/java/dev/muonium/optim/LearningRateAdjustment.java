package dev.muonium.optim;

/** What Muon multiplies its learning rate by, from the shape of the weights: {@code rows × cols}, row-major. */
public enum LearningRateAdjustment {
    /** {@code sqrt(max(1, rows/cols))}: Keller Jordan's, torch's default. */
    ORIGINAL {
        @Override
        public double factor(long rows, long cols) {
            return Math.sqrt(Math.max(1.0, (double) rows / cols));
        }
    },
    /** {@code 0.2·sqrt(max(rows, cols))}: updates get AdamW's root mean square, so AdamW's learning rate can be used (Moonlight). */
    MATCH_RMS_ADAMW {
        @Override
        public double factor(long rows, long cols) {
            return 0.2 * Math.sqrt((double) Math.max(rows, cols));
        }
    },
    /** {@code sqrt(rows/cols)}: the spectral norm's scaling with width. */
    SPECTRAL {
        @Override
        public double factor(long rows, long cols) {
            return Math.sqrt((double) rows / cols);
        }
    },
    /** 1. */
    NONE {
        @Override
        public double factor(long rows, long cols) {
            return 1;
        }
    };

    /** The factor for weights of {@code rows × cols}. */
    public abstract double factor(long rows, long cols);
}
