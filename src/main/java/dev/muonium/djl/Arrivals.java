package dev.muonium.djl;

import ai.djl.ndarray.NDArray;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What has arrived of a step, and what is expected: everything that was trained when the first one came. */
final class Arrivals {
    private final Map<String, Arrival> arrived = new LinkedHashMap<>();
    private List<Route> expected = List.of();

    /** Whether nothing has arrived since the last step. */
    boolean isEmpty() {
        return arrived.isEmpty();
    }

    /** Whether a step can be taken. */
    boolean areComplete() {
        return !arrived.isEmpty() && arrived.size() == expected.size();
    }

    /** Says what a step consists of, before the first of it arrives. */
    void expect(List<Route> trained) {
        expected = trained;
    }

    /**
     * Checks that a parameter may arrive now.
     *
     * @throws IllegalStateException if it is frozen, or there already
     */
    void requireAwaited(Route route, NDArray weight) {
        Arrival before = arrived.get(route.name());
        if (before != null) {
            throw new IllegalStateException(
                    before.weights().device().equals(weight.getDevice())
                            ? "parameter '" + route.name() + "' arrived again before " + missing()
                                    + " had arrived, so the step was not taken; freeze what takes no part"
                                    + " (Parameter.freeze(true)), call Trainer.initialize before the first step, and"
                                    + " give each trainer an optimizer of its own"
                            : "parameter '" + route.name() + "' is mirrored on "
                                    + before.weights().device() + " and " + weight.getDevice()
                                    + "; Muonium trains on one device, so name one in optDevices of the training's"
                                    + " configuration");
        }
        if (!route.isTrained()) {
            throw new IllegalStateException("parameter '" + route.name()
                    + "' is frozen, and was handed over to be updated; thaw it first with Parameter.freeze(false)");
        }
    }

    void add(Arrival arrival) {
        arrived.put(arrival.route().name(), arrival);
    }

    /** What arrived for a parameter, or null. */
    @Nullable
    Arrival find(String name) {
        return arrived.get(name);
    }

    /** All that arrived, in the order in which it did. */
    Collection<Arrival> all() {
        return arrived.values();
    }

    /** Names of those that did not. */
    List<String> missing() {
        return expected.stream()
                .map(Route::name)
                .filter(name -> !arrived.containsKey(name))
                .toList();
    }

    /** Forgets all of it. */
    void drop() {
        arrived.values().forEach(Arrival::close);
        arrived.clear();
    }
}
