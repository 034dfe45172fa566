package dev.muonium.checkpoint;

import dev.muonium.checkpoint.ForeignFiles.Found;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;

/** How many steps another framework says that parameters have taken. */
final class ForeignSteps {
    /** Up to here a double holds every whole number. */
    private static final double MOST = 0x1p53;

    private final Map<String, Long> steps = new LinkedHashMap<>();

    /** @param needed whether a parameter without a count is refused */
    void find(ForeignFiles files, String parameter, boolean needed) {
        Found found = files.find(parameter + ".step");
        if (found != null) {
            steps.put(parameter, count(found));
        } else if (needed) {
            throw new CheckpointException(
                    files.names() + " has no '" + parameter + ".step', which AdamW's bias correction needs");
        }
    }

    long of(String parameter, long ifNone) {
        return steps.getOrDefault(parameter, ifNone);
    }

    private static long count(Found found) {
        StoredTensor tensor = found.tensor();
        if (tensor.elements() != 1) {
            throw notOneNumber(found);
        }
        MemorySegment data = tensor.data();
        double value = switch (tensor.type()) {
            case F32 -> data.get(ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
            case F64 -> data.get(ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
            case I64 -> data.get(ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
            case I32 -> data.get(ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
            default -> throw notOneNumber(found);
        };
        if (!(value >= 0 && value <= MOST && value == Math.rint(value))) {
            throw new CheckpointException(
                    found.what() + " is " + value + "; it must be a whole number that is not negative");
        }
        return (long) value;
    }

    private static CheckpointException notOneNumber(Found found) {
        return new CheckpointException(found.what() + " is " + found.tensor().type() + " "
                + found.tensor().shape() + "; it must be one number, F32, F64, I32 or I64");
    }

    /** The steps of the run: what was said, else what all parameters have taken; empty if nothing says it. */
    OptionalLong agreed(OptionalLong runSteps) {
        String first = null;
        for (Map.Entry<String, Long> entry : steps.entrySet()) {
            if (runSteps.isPresent()) {
                if (entry.getValue() > runSteps.getAsLong()) {
                    throw new CheckpointException("parameter '" + entry.getKey() + "' has taken " + entry.getValue()
                            + " steps by its file, more than the " + runSteps.getAsLong() + " of the run");
                }
            } else if (first == null) {
                first = entry.getKey();
            } else if (!entry.getValue().equals(steps.get(first))) {
                throw new CheckpointException("the step counts disagree: parameter '" + first + "' has taken "
                        + steps.get(first) + " and '" + entry.getKey() + "' " + entry.getValue()
                        + "; say how many the run has taken");
            }
        }
        if (runSteps.isPresent() || first == null) {
            return runSteps;
        }
        return OptionalLong.of(steps.getOrDefault(first, 0L));
    }
}
