package dev.muonium.nano;

import static dev.muonium.nano.Ranges.requireRange;

/**
 * When a run saves checkpoints, where it has been given a folder for them.
 *
 * @param every steps between two checkpoints; 0 for one at the end only
 * @param keepLast how many are kept
 * @param inBackground whether they are written from a copy while training goes on
 */
public record Saving(int every, int keepLast, boolean inBackground) {
    /** Checks both numbers; the message names the key, the value and what is allowed. */
    public Saving {
        requireRange("checkpoint_every", every, 0, 100_000_000);
        requireRange("keep_last_checkpoints", keepLast, 1, 1_000_000);
    }
}
