package dev.muonium.lowrank;

/**
 * Settings of {@link LowRankOptimizer}; an immutable value.
 *
 * @param rank r, the columns of each projection; at most the smaller side of every matrix
 * @param refreshInterval T, steps after which a projection is looked at
 * @param scale α, what projected updates are multiplied by
 * @param turnThreshold how far the subspace must have turned for a new one to be taken: {@code 1 - cos}, where cos² is the mean of the squared cosines
 *     of the principal angles between the old and the new one
 * @param seed of the random sketches
 */
public record GaLore(int rank, int refreshInterval, double scale, double turnThreshold, long seed) {
    /** Checks every number. */
    public GaLore {
        if (rank < 1) {
            throw new IllegalArgumentException("the rank is " + rank + "; it must be at least 1");
        }
        if (refreshInterval < 1) {
            throw new IllegalArgumentException(
                    "the refresh interval is " + refreshInterval + "; it must be at least 1");
        }
        if (!(scale > 0 && scale <= 1e6)) {
            throw new IllegalArgumentException("the scale is " + scale + "; it must be above 0 and at most 1e6");
        }
        if (!(turnThreshold >= 0 && turnThreshold <= 1)) {
            throw new IllegalArgumentException("the turn threshold is " + turnThreshold + "; it must be from 0 to 1");
        }
    }

    /** T = 200 and α = 0.25 as in GaLore's paper, a threshold of 0.2. */
    public static GaLore ofRank(int rank) {
        return new GaLore(rank, 200, 0.25, 0.2, 0);
    }

    /** The same with another interval. */
    public GaLore refreshInterval(int steps) {
        return new GaLore(rank, steps, scale, turnThreshold, seed);
    }

    /** The same with another scale. */
    public GaLore scale(double alpha) {
        return new GaLore(rank, refreshInterval, alpha, turnThreshold, seed);
    }

    /** The same with another threshold; 0 takes every new subspace. */
    public GaLore turnThreshold(double turn) {
        return new GaLore(rank, refreshInterval, scale, turn, seed);
    }

    /** The same with another seed. */
    public GaLore seed(long value) {
        return new GaLore(rank, refreshInterval, scale, turnThreshold, value);
    }
}
