package dev.muonium.plan;

import java.util.Map;

/**
 * Something that makes a run smaller.
 *
 * @param name for reports
 * @param changes keys of a configuration, by which it is switched on
 * @param cost time of a step with it, as a multiple of one without
 * @param anotherTraining whether losses with it are those of another method, so that it is only taken where nothing else fits
 * @param why where the cost comes from: a measurement or an estimate
 */
public record Technique(String name, Map<String, String> changes, double cost, boolean anotherTraining, String why) {
    /** Copies the map. */
    public Technique {
        changes = Map.copyOf(changes);
    }
}
