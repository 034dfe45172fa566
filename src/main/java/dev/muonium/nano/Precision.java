package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import java.util.Locale;

/**
 * The element types of a model. Weights and activations have the same one, because matrix products multiply them with each other. Norms,
 * softmax and sums are computed in FP32 whatever the types; reciprocals of norms, logarithms of sums and losses are kept in FP32 or FP64.
 *
 * @param compute of weights, activations and their gradients: F32 or BF16
 * @param gradients of the weights' gradients, which every micro-batch is added to: F32, or BF16 where {@code compute} is
 * @param masterWeights whether the optimizer keeps an FP32 copy of BF16 weights, which it updates and rounds; else it rounds the updated
 *     weights stochastically
 */
public record Precision(ElementType compute, ElementType gradients, boolean masterWeights) {
    /** Everything in FP32. */
    public static final Precision FP32 = new Precision(ElementType.F32, ElementType.F32, false);

    /** BF16 with FP32 gradients and FP32 master weights. */
    public static final Precision MIXED = new Precision(ElementType.BF16, ElementType.F32, true);

    /** Checks that the types go together. */
    public Precision {
        requireFloat("precision", compute);
        requireFloat("gradients", gradients);
        if (compute == ElementType.F32 && gradients == ElementType.BF16) {
            throw new IllegalArgumentException(
                    "gradients is bf16 and precision f32; no matrix product adds FP32 to bf16, so take bf16 for both,"
                            + " or f32 for gradients");
        }
        if (compute == ElementType.F32 && masterWeights) {
            throw new IllegalArgumentException("master weights belong to bf16 weights; FP32 weights are their own");
        }
    }

    private static void requireFloat(String key, ElementType type) {
        if (type != ElementType.F32 && type != ElementType.BF16) {
            throw new IllegalArgumentException(key + " is " + type + "; it must be F32 or BF16");
        }
    }

    /**
     * Checks that a device computes in this precision.
     *
     * @throws IllegalArgumentException if it does not
     */
    void requireOn(Device device) {
        if (compute == ElementType.BF16 && device.memory().isHost()) {
            throw new IllegalArgumentException("precision is bf16, and " + device.describe()
                    + " has the kernels of a GPT in FP32 only; set precision to \"f32\" or \"auto\" and gradients as"
                    + " well, or train on a CUDA device");
        }
    }

    /** For example {@code bf16 with FP32 master weights and FP32 gradients}. */
    public String describe() {
        if (compute == ElementType.F32) {
            return "fp32";
        }
        return name(compute) + (masterWeights ? " with fp32 master weights" : " without master weights") + " and "
                + name(gradients) + " gradients";
    }

    private static String name(ElementType type) {
        return type == ElementType.F32 ? "fp32" : type.name().toLowerCase(Locale.ROOT);
    }
}
