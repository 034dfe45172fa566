package dev.muonium.pytorch;

import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** What a tensor of PyTorch must be to be worked on where it lies, each with the sentence that says so. */
final class TorchTensors {
    private TorchTensors() {}

    /**
     * A reference to the same tensor, which no {@link org.bytedeco.javacpp.PointerScope} frees. It keeps the tensor's memory, whoever lets
     * go of theirs, until it is closed.
     */
    static Tensor reference(Tensor tensor) {
        Tensor reference = new Tensor(tensor);
        reference.retainReference();
        return reference;
    }

    /** Where its first element lies; 0 without memory. */
    static long address(Tensor tensor) {
        Pointer data = tensor.data_ptr();
        return data == null ? 0 : data.address();
    }

    /**
     * The shape, that of a scalar being 1.
     *
     * @throws IllegalArgumentException if it has no elements
     */
    static Shape shape(String name, Tensor tensor) {
        if (tensor.numel() == 0) {
            throw new IllegalArgumentException("parameter '" + name
                    + "' has no elements, so there is nothing to train; remove it from the module");
        }
        long[] extents = new long[Math.max(1, Math.toIntExact(tensor.dim()))];
        extents[0] = 1;
        for (int axis = 0; axis < tensor.dim(); axis++) {
            extents[axis] = tensor.size(axis);
        }
        return Shape.of(extents);
    }

    /**
     * The element type.
     *
     * @param what {@code "parameter 'x'"} or {@code "the gradient of parameter 'x'"}
     * @throws IllegalArgumentException if it is neither float32 nor bfloat16
     */
    static ElementType elementType(String what, Tensor tensor) {
        torch.ScalarType type = tensor.scalar_type().intern(); // what JavaCPP returns is none of the constants
        return switch (type) {
            case Float -> ElementType.F32;
            case BFloat16 -> ElementType.BF16;
            case Half ->
                throw new IllegalArgumentException(what
                        + " is float16, whose narrow range needs loss scaling and which Muonium does not train in; use"
                        + " bfloat16 (module.to(torch.ScalarType.BFloat16)) or float32");
            default ->
                throw new IllegalArgumentException(what + " is of the type " + name(type)
                        + "; Muonium trains float32 and bfloat16: convert it, or set requires_grad to false");
        };
    }

    private static String name(torch.ScalarType type) {
        return switch (type) {
            case Double -> "float64";
            case Byte -> "uint8";
            case Char -> "int8";
            case Short -> "int16";
            case Int -> "int32";
            case Long -> "int64";
            default -> type.name();
        };
    }

    /**
     * Refuses tensors that are not an array of their elements.
     *
     * @throws IllegalArgumentException with the layout
     */
    static void requireStrided(String what, Tensor tensor) {
        torch.Layout layout = tensor.layout().intern();
        if (layout != torch.Layout.Strided) {
            throw new IllegalArgumentException(what + " is not dense (its layout is " + layout + ")"
                    + (tensor.is_sparse()
                            ? ", and Muonium steps dense gradients only; build its embedding with sparse(false)"
                            : "; Muonium works on dense tensors only"));
        }
    }
}
