package dev.muonium.optim;

import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;

/**
 * Statistics of one array of state over all parameters of a group. x is what the step makes of the stored values before it stores its result, in double: {@code m = β·m +
 * (1-β)·g} or {@code v = β₂·v + (1-β₂)·g²}, with gradients scaled and clipped. x̂ is what is stored afterwards, decoded.
 *
 * @param name {@code momentum_buffer}, {@code exp_avg} or {@code exp_avg_sq}
 * @param rms {@code √(Σ x² / N)}
 * @param quantizationError {@code √(Σ (x̂ - x)² / N)}; of FP32 state what rounding to FP32 leaves
 * @param scales how many blocks have a scale from {@code 2^e} to below {@code 2^(e+1)}, by e; in ascending order, empty for FP32
 * @param zeroScales how many blocks have the scale 0: they hold zeros
 */
public record StateStatistics(
        String name, double rms, double quantizationError, Map<Integer, Long> scales, long zeroScales) {
    /** Copies the map. */
    public StateStatistics {
        scales = Collections.unmodifiableMap(new TreeMap<>(scales));
    }
}
