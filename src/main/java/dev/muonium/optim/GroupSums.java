package dev.muonium.optim;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What the statistics of a group are made of, while its parameters are gone through. */
final class GroupSums {
    private final ParameterGroup group;
    private final Map<String, StateSums> states = new LinkedHashMap<>();
    int parameters;
    long elements;
    double gradients; // sums of squares, as all doubles here
    double updates;
    double weights;

    /** Of one array of state. */
    static final class StateSums {
        final Map<Integer, Long> scales = new TreeMap<>();
        double squares;
        double errors;
        long zeroScales;
    }

    GroupSums(ParameterGroup group) {
        this.group = group;
    }

    StateSums state(String name) {
        return states.computeIfAbsent(name, _ -> new StateSums());
    }

    GroupStatistics statistics(double gradientScale) {
        List<StateStatistics> state = states.entrySet().stream()
                .map(entry -> statistics(entry.getKey(), entry.getValue()))
                .toList();
        return new GroupStatistics(
                group.name(),
                group.spec().optimizer(),
                parameters,
                elements,
                gradientScale * Math.sqrt(gradients),
                rms(updates),
                rms(weights),
                state);
    }

    private StateStatistics statistics(String name, StateSums sums) {
        return new StateStatistics(name, rms(sums.squares), rms(sums.errors), sums.scales, sums.zeroScales);
    }

    private double rms(double squares) {
        return Math.sqrt(squares / elements);
    }
}
