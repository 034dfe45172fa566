package dev.muonium.jmh;

import dev.muonium.memory.Shape;
import java.util.Collections;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The hidden matrices of a model: those of one layer, and how many layers there are.
 *
 * @param shapes of one layer
 */
record MatrixSet(int layers, List<Shape> shapes) {
    private static final String LAYERS_OF = "layer-";
    private static final Pattern SIDES = Pattern.compile("([1-9]\\d{0,5})x([1-9]\\d{0,5})");

    /**
     * A set of a name: {@code gpt2-small} (84.9M parameters), {@code d20-e3-full} (of the preset of that name, gated MLP, 205M),
     * {@code test-8bit} (2.6M), {@code 24x2048} (1.21G), one matrix of {@code ROWSxCOLS}, or
     * {@code layer-WIDTH}, a layer of GPT-2's shape.
     */
    static MatrixSet named(String name) {
        return switch (name) {
            case "gpt2-small" -> new MatrixSet(12, layer(768, Shape.of(768, 3072), Shape.of(3072, 768)));
            case "d20-e3-full" ->
                new MatrixSet(24, layer(768, Shape.of(2688, 768), Shape.of(2688, 768), Shape.of(768, 2688)));
            case "24x2048" -> new MatrixSet(24, layer(2048, Shape.of(2048, 8192), Shape.of(8192, 2048)));
            case "test-8bit" ->
                new MatrixSet(4, layer(256, Shape.of(512, 256), Shape.of(512, 256), Shape.of(256, 512)));
            default -> name.startsWith(LAYERS_OF) ? layers(name) : new MatrixSet(1, List.of(matrix(name)));
        };
    }

    private static MatrixSet layers(String name) {
        long width = Long.parseLong(name.substring(LAYERS_OF.length()));
        return new MatrixSet(1, layer(width, Shape.of(width, 4 * width), Shape.of(4 * width, width)));
    }

    private static Shape matrix(String name) {
        Matcher sides = SIDES.matcher(name);
        if (!sides.matches()) {
            throw new IllegalArgumentException("there is no set '" + name
                    + "'; use gpt2-small, d20-e3-full, test-8bit, 24x2048 or the ROWSxCOLS of one matrix");
        }
        return Shape.of(Long.parseLong(sides.group(1)), Long.parseLong(sides.group(2)));
    }

    /** Four matrices of attention, and those of the MLP. */
    private static List<Shape> layer(long width, Shape... mlp) {
        return Stream.concat(Collections.nCopies(4, Shape.of(width, width)).stream(), Stream.of(mlp))
                .toList();
    }

    /** The same with fewer layers; 0 leaves it as it is. */
    MatrixSet withLayers(int wanted) {
        return wanted == 0 ? this : new MatrixSet(wanted, shapes);
    }
}
