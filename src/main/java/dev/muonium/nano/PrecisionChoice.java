package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;

/**
 * The precision that a preset asks for, some of which it may leave to the device: FP32 on the CPU; on CUDA bf16 with FP32 gradients.
 *
 * @param compute of weights and activations
 * @param gradients of the weights' gradients
 * @param masterWeights whether bf16 weights have an FP32 copy in the optimizer; says nothing about FP32 weights
 */
public record PrecisionChoice(Type compute, Type gradients, boolean masterWeights) {
    /** What may be asked for. */
    public enum Type {
        /** What suits the device. */
        AUTO,
        /** FP32. */
        F32,
        /** bf16. */
        BF16
    }

    /** All is left to the device. */
    public static final PrecisionChoice AUTO = new PrecisionChoice(Type.AUTO, Type.AUTO, true);

    /**
     * What it comes to on a device.
     *
     * @throws IllegalArgumentException if the device does not compute so, or the types do not go together
     */
    public Precision on(Device device) {
        Precision precision = on(device.memory().isHost());
        precision.requireOn(device);
        return precision;
    }

    /** What it comes to on a CPU (true) or a GPU, whether that can compute so or not. */
    Precision on(boolean isHost) {
        ElementType computed = switch (compute) {
            case AUTO -> isHost ? ElementType.F32 : ElementType.BF16;
            case F32 -> ElementType.F32;
            case BF16 -> ElementType.BF16;
        };
        return new Precision(
                computed,
                gradients == Type.BF16 ? ElementType.BF16 : ElementType.F32,
                masterWeights && computed == ElementType.BF16);
    }
}
