package dev.muonium.plan;

import java.util.Map;

/**
 * Something that makes a run smaller.
 *
 * @param name for reports
 * @param changes keys of a configuration, by which it is switched on
 * @param cost estimated time of a step with it, as a multiple of one without
 * @param why where the estimate comes from
 */
public record Technique(String name, Map<String, String> changes, double cost, String why) {
    /** Copies the map. */
    public Technique {
        changes = Map.copyOf(changes);
    }
}
