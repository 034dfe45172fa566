/** Replays recorded trajectories and compares: {@code muonium conform}. */
@NullMarked
package dev.muonium.cli.conform;

import org.jspecify.annotations.NullMarked;
