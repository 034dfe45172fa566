package dev.muonium.plan;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * A set of techniques and what a run with them holds.
 *
 * @param techniques in the order in which they were offered
 * @param plan of the run with them
 * @param cost estimated time of a step, as a multiple of one without any of them
 */
public record Fit(List<Technique> techniques, MemoryPlan plan, double cost) {
    /** Copies the list. */
    public Fit {
        techniques = List.copyOf(techniques);
    }

    /**
     * The set that costs the least time among those whose peak is within a budget; among equals the one of the fewest techniques. One with a technique
     * that makes it another training comes behind all without.
     *
     * @param offered at most 16; every subset is looked at
     * @param planned the plan of a run with a set of them
     * @return empty if none fits
     */
    public static Optional<Fit> cheapest(
            List<Technique> offered, Function<List<Technique>, MemoryPlan> planned, long budget) {
        return all(offered, planned).stream()
                .filter(fit -> fit.plan().peak() <= budget)
                .min(Comparator.comparingLong(Fit::otherTrainings)
                        .thenComparingDouble(Fit::cost)
                        .thenComparingInt(fit -> fit.techniques().size()));
    }

    /** The set whose run is the smallest. */
    public static Fit smallest(List<Technique> offered, Function<List<Technique>, MemoryPlan> planned) {
        return all(offered, planned).stream()
                .min(Comparator.comparingLong((Fit fit) -> fit.plan().peak())
                        .thenComparingInt(fit -> fit.techniques().size()))
                .orElseThrow();
    }

    private long otherTrainings() {
        return techniques.stream().filter(Technique::anotherTraining).count();
    }

    private static List<Fit> all(List<Technique> offered, Function<List<Technique>, MemoryPlan> planned) {
        if (offered.size() > 16) {
            throw new IllegalArgumentException(offered.size() + " techniques are offered; at most 16 can be combined");
        }
        List<Fit> all = new ArrayList<>();
        for (int set = 0; set < 1 << offered.size(); set++) {
            List<Technique> chosen = new ArrayList<>();
            double cost = 1;
            for (int i = 0; i < offered.size(); i++) {
                if ((set >> i & 1) == 1) {
                    chosen.add(offered.get(i));
                    cost *= offered.get(i).cost();
                }
            }
            all.add(new Fit(chosen, planned.apply(chosen), cost));
        }
        return all;
    }
}
