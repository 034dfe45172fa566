package dev.muonium.optim;

import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Where the weights of parameters lie, to find out in logarithmic time and without garbage whether something else lies there. */
final class WeightRanges {
    private final List<Parameter> sorted;
    private final long[] begins;
    private final long[] ends;

    /** @param slots whose weights do not overlap */
    WeightRanges(List<Slot> slots) {
        this.sorted = slots.stream()
                .map(slot -> slot.parameter)
                .sorted(Comparator.comparingLong(Parameter::weightsBegin))
                .toList();
        this.begins = sorted.stream().mapToLong(Parameter::weightsBegin).toArray();
        this.ends = sorted.stream().mapToLong(Parameter::weightsEnd).toArray();
    }

    /** The parameter with weights in {@code [begin, end)}, or null. */
    private @Nullable Parameter in(long begin, long end) {
        int low = 0;
        int high = begins.length;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (begins[middle] < end) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        // Of the weights that begin before the end, the last reach furthest.
        return low > 0 && ends[low - 1] > begin ? sorted.get(low - 1) : null;
    }

    /**
     * Checks the gradient that is bound to a parameter now.
     *
     * @throws IllegalArgumentException if it lies in weights that a step writes
     */
    void requireApart(Parameter parameter) {
        Parameter other = in(parameter.gradientBegin(), parameter.gradientEnd());
        if (other != null) {
            throw Parameter.gradientInWeights(parameter.name(), other.name());
        }
    }
}
