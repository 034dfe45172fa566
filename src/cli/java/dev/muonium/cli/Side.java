package dev.muonium.cli;

import dev.muonium.nano.Preset;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One of the configurations that are compared.
 *
 * @param name for reports
 * @param changes to the preset's keys; {@code preset} stands for another preset
 * @param preset with the changes
 */
record Side(String name, Map<String, String> changes, Preset preset) {
    static Side of(TrainingOptions training, String name, Map<String, String> changes) {
        return new Side(name, changes, training.preset(changes));
    }

    /**
     * From {@code KEY=VALUE[,KEY=VALUE…]}, as often as it was given.
     *
     * @throws UserMistake if it is not of that form, or there is no such configuration
     */
    static Side parse(TrainingOptions training, String option, List<String> texts) {
        Map<String, String> changes = new LinkedHashMap<>();
        for (String text : texts) {
            for (String change : text.split(",", -1)) {
                int equals = change.indexOf('=');
                if (equals < 1 || equals == change.length() - 1) {
                    throw new UserMistake(option + " has '" + change
                            + "'; it takes KEY=VALUE,KEY=VALUE with keys of a preset, or preset=NAME|FILE");
                }
                changes.put(
                        change.substring(0, equals).strip(),
                        change.substring(equals + 1).strip());
            }
        }
        return of(training, String.join(",", texts), changes);
    }
}
