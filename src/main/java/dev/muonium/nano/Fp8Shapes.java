package dev.muonium.nano;

import dev.muonium.device.Fp8Spec;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import java.util.ArrayList;
import java.util.List;

/**
 * The FP8 products of a model's blocks: activations and weights in E4M3, gradients in E5M2, as {@link Techniques} asks for them.
 *
 * <ul>
 *   <li>{@code Y = X·Wᵀ} where activations are FP8,
 *   <li>{@code dX = dY·W} where gradients are,
 *   <li>{@code dW += dYᵀ·X} where both are.
 * </ul>
 *
 * @param type of activations
 * @param gradients of the weights' gradients
 */
record Fp8Shapes(ElementType type, ElementType gradients, boolean fp8Activations, boolean fp8Gradients) {

    static Fp8Shapes of(GptOptions options) {
        return new Fp8Shapes(
                options.precision().compute(),
                options.precision().gradients(),
                options.fp8Activations(),
                options.fp8Gradients());
    }

    boolean fp8Weights() {
        return fp8Activations && fp8Gradients;
    }

    Fp8Spec forward(long rows, long outputs, long inputs, boolean adding) {
        return new Fp8Spec(BlockFormat.FP8_E4M3, BlockFormat.FP8_E4M3, true, type, rows, outputs, inputs, adding);
    }

    Fp8Spec backward(long rows, long outputs, long inputs, boolean adding) {
        return new Fp8Spec(BlockFormat.FP8_E5M2, BlockFormat.FP8_E4M3, true, type, rows, inputs, outputs, adding);
    }

    Fp8Spec weightGradient(long rows, long outputs, long inputs) {
        return new Fp8Spec(BlockFormat.FP8_E5M2, BlockFormat.FP8_E4M3, false, gradients, outputs, inputs, rows, true);
    }

    /** All of them, for a batch of {@code rows}, and for one sequence in forward. */
    List<Fp8Spec> all(GptConfig config, long rows) {
        int d = config.dModel();
        long[][] matrices = {
            {config.queryWidth(), d},
            {config.keyWidth(), d},
            {d, config.queryWidth()},
            {config.mlpWidth(), d},
            {d, config.mlpWidth()}
        };
        List<Fp8Spec> all = new ArrayList<>();
        for (long[] matrix : matrices) {
            if (fp8Activations) {
                all.add(forward(rows, matrix[0], matrix[1], false));
                all.add(forward(config.context(), matrix[0], matrix[1], false));
            }
            if (fp8Gradients) {
                all.add(backward(rows, matrix[0], matrix[1], false));
            }
            if (fp8Weights()) {
                all.add(weightGradient(rows, matrix[0], matrix[1]));
            }
        }
        return all;
    }
}
