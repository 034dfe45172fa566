package dev.muonium.pytorch;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;

/** A parameter as a module has it. Holds a reference to the tensor, which keeps its memory until {@link #close}. */
final class FoundParameter implements AutoCloseable {
    private final List<String> names = new ArrayList<>();
    private final Tensor tensor;
    private boolean lookedUp;

    /** @param tensor a reference of its own */
    FoundParameter(Tensor tensor) {
        this.tensor = tensor;
    }

    /**
     * Notes that the module has the tensor under this name.
     *
     * @param inEmbedding whether as the table of an embedding module
     */
    void addName(String name, boolean inEmbedding) {
        names.add(name);
        lookedUp |= inEmbedding;
    }

    /** The first name; the others are places that share the tensor. */
    String name() {
        return names.getFirst();
    }

    List<String> names() {
        return names;
    }

    Tensor tensor() {
        return tensor;
    }

    boolean isLookedUp() {
        return lookedUp;
    }

    boolean isMatrix() {
        return tensor.dim() == 2;
    }

    boolean isTrained() {
        return tensor.requires_grad();
    }

    /** Whether a step is to update it: PyTorch trains it and has a gradient for it. The caller has a PointerScope. */
    boolean hasGradient() {
        return tensor.requires_grad() && tensor.grad().defined();
    }

    /** Removes the gradient, or fills it with zeros. The caller has a PointerScope. */
    void zeroGradient(boolean setToNone) {
        Tensor gradient = tensor.mutable_grad();
        if (!gradient.defined()) {
            return;
        }
        if (setToNone) {
            gradient.reset();
        } else {
            gradient.detach_();
            gradient.zero_();
        }
    }

    @Override
    public void close() {
        tensor.close();
    }
}
