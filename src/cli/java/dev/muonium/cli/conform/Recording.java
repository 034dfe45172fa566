package dev.muonium.cli.conform;

import dev.muonium.checkpoint.Safetensors;
import dev.muonium.checkpoint.StoredTensor;
import dev.muonium.checkpoint.StoredType;
import dev.muonium.cli.UserMistake;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/** A safetensors file whose settings and tensors are asked for by name; what is missing or odd is a sentence with the file's name. */
record Recording(Safetensors file) {
    String setting(String name) {
        String value = file.metadata().get(name);
        if (value == null) {
            throw mistake("lacks '" + name + "' in its __metadata__");
        }
        return value;
    }

    double number(String name) {
        try {
            return Double.parseDouble(setting(name));
        } catch (NumberFormatException e) {
            throw mistake("has '" + name + "' = '" + setting(name) + "' in its __metadata__; a number is expected");
        }
    }

    int count(String name) {
        try {
            int count = Integer.parseInt(setting(name));
            if (count >= 1) {
                return count;
            }
        } catch (NumberFormatException e) {
            // falls through to the sentence
        }
        throw mistake(
                "has '" + name + "' = '" + setting(name) + "' in its __metadata__; a whole number from 1 is expected");
    }

    Set<String> names() {
        return file.names();
    }

    float[] floats(String name, long... shape) {
        return tensor(name, List.of(StoredType.F32), shape).toFloats();
    }

    double[] doubles(String name, long... shape) {
        return tensor(name, List.of(StoredType.F32, StoredType.F64), shape).toDoubles();
    }

    byte[] bytes(String name, long... shape) {
        return tensor(name, List.of(StoredType.I8), shape).toBytes();
    }

    /** The number of elements of a tensor that is a vector. */
    int length(String name) {
        StoredTensor tensor = file.tensor(name);
        if (tensor.shape().size() != 1 || tensor.elements() < 1 || tensor.elements() > Integer.MAX_VALUE - 8) {
            throw mistake("has tensor '" + name + "' of shape " + tensor.shape() + "; a vector is expected");
        }
        return (int) tensor.elements();
    }

    private StoredTensor tensor(String name, List<StoredType> types, long... shape) {
        StoredTensor tensor = file.tensor(name);
        List<Long> expected = Arrays.stream(shape).boxed().toList();
        if (!tensor.shape().equals(expected)) {
            throw mistake("has tensor '" + name + "' of shape " + tensor.shape() + "; " + expected + " is expected");
        }
        if (!types.contains(tensor.type())) {
            throw mistake("has tensor '" + name + "' of type " + tensor.type() + "; one of " + types + " is expected");
        }
        return tensor;
    }

    UserMistake mistake(String what) {
        return new UserMistake("'" + file.file() + "' " + what);
    }
}
