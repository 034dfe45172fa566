package dev.muonium.checkpoint;

import dev.muonium.checkpoint.ForeignFiles.Found;
import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.StateTensor;
import dev.muonium.quant.DynamicMap;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Finds the arrays of a parameter's state in another framework's files, and checks them. */
final class ForeignLookup {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** torch computes the maps when it is started, and not all of its builds round alike: some units in the last place. */
    private static final double MAP_TOLERANCE = 1e-6;

    private final Device device;
    private final ForeignFiles files;

    ForeignLookup(Device device, ForeignFiles files) {
        this.device = device;
        this.files = files;
    }

    /** The array for a target; null only for master weights that the file does not have. */
    @Nullable
    ForeignArray find(Parameter parameter, StateTensor target) {
        String key = parameter.name() + "." + target.name();
        Found values = files.find(key);
        if (values != null) {
            return values(parameter, target, values);
        }
        if (target.name().equals("master_weights")) {
            return null;
        }
        int number = switch (target.name()) {
            case "exp_avg" -> 1;
            case "exp_avg_sq" -> 2;
            default -> throw missing(parameter, "'" + key + "'");
        };
        Found state = files.find(parameter.name() + ".state" + number);
        if (state == null) {
            throw missing(parameter, "'" + key + "' nor '" + parameter.name() + ".state" + number + "'");
        }
        return state.tensor().type() == StoredType.U8
                ? codes(parameter, target, state, number)
                : values(parameter, target, state);
    }

    private CheckpointException missing(Parameter parameter, String keys) {
        return new CheckpointException(files.names() + " has no state of parameter '" + parameter.name()
                + "': there is " + (keys.contains(" nor ") ? "neither " : "no ") + keys);
    }

    private ForeignArray values(Parameter parameter, StateTensor target, Found found) {
        StoredType type = found.tensor().type();
        if (type != StoredType.F32 && type != StoredType.BF16) {
            throw new CheckpointException(found.what() + " is " + type + "; it must be F32 or BF16"
                    + (type == StoredType.I8
                            ? ", and a checkpoint of Muonium's own is restored by TrainingState"
                            : ""));
        }
        requireShape(parameter, target, found);
        return new ForeignArray.Values(found);
    }

    private ForeignArray codes(Parameter parameter, StateTensor target, Found codes, int number) {
        requireShape(parameter, target, codes);
        Found scales = companion(parameter, "absmax" + number);
        Found map = companion(parameter, "qmap" + number);
        BlockFormat format = number == 1 ? BlockFormat.INT8_DYNAMIC_SIGNED : BlockFormat.INT8_DYNAMIC_UNSIGNED;
        requireOurMap(map, DynamicMap.of(device, format));
        return ForeignArray.Codes.of(device, codes, scales, format, block(target, scales));
    }

    private Found companion(Parameter parameter, String key) {
        Found found = files.find(parameter.name() + "." + key);
        if (found == null) {
            throw missing(parameter, "'" + parameter.name() + "." + key + "'");
        }
        if (found.tensor().type() != StoredType.F32) {
            throw new CheckpointException(found.what() + " is " + found.tensor().type() + "; it must be F32");
        }
        return found;
    }

    private static void requireShape(Parameter parameter, StateTensor target, Found found) {
        List<Long> there = found.tensor().shape();
        List<Long> here = new ArrayList<>();
        for (int axis = 0; axis < parameter.shape().rank(); axis++) {
            here.add(parameter.shape().extent(axis));
        }
        if (found.tensor().elements() != target.elements() || !(there.size() == 1 || merges(there, here))) {
            throw new CheckpointException(found.what() + " has the shape " + there + ", and parameter '"
                    + parameter.name() + "' is " + here + " here");
        }
    }

    /** Whether each extent here is the product of neighbouring ones there. */
    private static boolean merges(List<Long> there, List<Long> here) {
        int at = 0;
        for (long extent : here) {
            long product = 1;
            while (product < extent && at < there.size()) {
                product *= there.get(at++);
            }
            if (product != extent) {
                return false;
            }
        }
        return there.subList(at, there.size()).stream().allMatch(extent -> extent == 1);
    }

    /** Powers of two give different counts unless all elements are in one block. */
    private static int block(StateTensor target, Found scales) {
        long count = scales.tensor().elements();
        for (int block = 64; block <= 2048; block *= 2) {
            if (target.format().isScaled() && (target.elements() + target.block() - 1) / target.block() == count) {
                return target.block();
            }
            if ((target.elements() + block - 1) / block == count) {
                return block;
            }
        }
        throw new CheckpointException(scales.what() + " has " + count + " elements for " + target.elements()
                + " codes; blocks of 64 to 2048 elements, powers of two, are known (bitsandbytes: 256, or 2048)");
    }

    private static void requireOurMap(Found map, DynamicMap ours) {
        if (map.tensor().elements() != DynamicMap.SIZE) {
            throw new CheckpointException(
                    map.what() + " has " + map.tensor().elements() + " elements; a map has " + DynamicMap.SIZE);
        }
        for (int code = 0; code < DynamicMap.SIZE; code++) {
            float there = map.tensor().data().get(FLOAT, (long) code * Float.BYTES);
            float here = ours.value(code);
            if (!(Math.abs(there - here) <= MAP_TOLERANCE * Math.abs(here))) {
                throw new CheckpointException(map.what() + " is another map than " + ours.format() + "'s: code " + code
                        + " stands for " + there + " there and for " + here + " here");
            }
        }
    }

    /** What is not finite would never leave the state again. */
    static void requireUsable(StateTensor target, ForeignArray array) {
        boolean isVariance = target.name().equals("exp_avg_sq");
        float least = isVariance ? 0 : -Float.MAX_VALUE;
        if (array instanceof ForeignArray.Codes codes) {
            ForeignArray scales = new ForeignArray.Values(codes.scales());
            requireRange(scales, codes.scales().tensor().elements(), 0);
        } else {
            requireRange(array, target.elements(), least);
        }
    }

    private static void requireRange(ForeignArray array, long count, float least) {
        for (long i = 0; i < count; i++) {
            float value = array.at(i);
            if (!(value >= least && value <= Float.MAX_VALUE)) {
                throw new CheckpointException(array.what() + " holds " + value + " at " + i + "; it must be finite"
                        + (least == 0 ? " and not negative" : ""));
            }
        }
    }
}
