package dev.muonium.pytorch;

import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.Parameter;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.bytedeco.javacpp.PointerScope;
import org.jspecify.annotations.Nullable;

/**
 * A trained parameter of a module: the optimizer's view of PyTorch's memory. The weights stay where they are; the gradient is found anew
 * before each step, because PyTorch frees it and makes another one elsewhere.
 */
final class ModuleParameter implements AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(ModuleParameter.class);

    private final FoundParameter found;
    private final TensorMemory memory;
    private final ElementType type;
    private final Shape shape;
    private final long address;
    private final Tensor weights;
    private final Parameter parameter;
    private final String gradientOf;
    private @Nullable Tensor gradient;
    private boolean copied;

    /**
     * Takes over what was found.
     *
     * @param adding gets the parameter for the optimizer, without a gradient and so left out of steps
     * @throws IllegalArgumentException if it cannot be updated in place, or not be split as was said; what was found is then still the caller's
     */
    ModuleParameter(FoundParameter found, Route route, TensorMemory memory, Consumer<Parameter> adding) {
        this.found = found;
        this.memory = memory;
        this.gradientOf = "the gradient of parameter '" + found.name() + "'";
        String what = "parameter '" + found.name() + "'";
        org.bytedeco.pytorch.Tensor tensor = found.tensor();
        TorchTensors.requireStrided(what, tensor);
        requireHere(what, tensor);
        this.type = TorchTensors.elementType(what, tensor);
        this.shape = TorchTensors.shape(found.name(), tensor);
        if (!tensor.is_contiguous()) {
            throw new IllegalArgumentException(what + " is not contiguous, so it cannot be updated in place; replace it"
                    + " by its contiguous() copy before the optimizer is built");
        }
        this.address = TorchTensors.address(tensor);
        requireMemory(address);
        this.weights = memory.inPlace(found.name(), type, shape, address);
        try {
            this.parameter = add(route, adding);
        } catch (RuntimeException | Error e) {
            weights.close();
            throw e;
        }
    }

    /** Before backward has made a gradient, memory that no step reads stands for it, and is freed at once. */
    private Parameter add(Route route, Consumer<Parameter> adding) {
        try (Tensor none = memory.device().allocate(Purpose.GRADIENTS, gradientOf, type, shape)) {
            Parameter whole =
                    Parameter.of(found.name(), route.kind(), shape, weights.segment(), type, none.segment(), type);
            Parameter added = route.of(whole).frozen(true);
            adding.accept(added);
            return added;
        }
    }

    String name() {
        return found.name();
    }

    FoundParameter found() {
        return found;
    }

    /**
     * Gives the optimizer the gradient that PyTorch has now, or leaves the parameter out of the coming step. The caller steps within the
     * {@link PointerScope} that it calls this in.
     *
     * @return whether the parameter takes part
     * @throws IllegalArgumentException if the gradient is none that can be read in place or copied
     * @throws IllegalStateException if the weights were freed or moved
     */
    boolean bind() {
        if (!found.hasGradient()) {
            parameter.frozen(true);
            return false;
        }
        requireInPlace();
        org.bytedeco.pytorch.Tensor grad = found.tensor().grad();
        TorchTensors.requireStrided(gradientOf, grad);
        requireHere(gradientOf, grad);
        ElementType gradientType = TorchTensors.elementType(gradientOf, grad);
        if (grad.numel() != shape.elements()) {
            throw new IllegalArgumentException(gradientOf + " has " + grad.numel() + " elements, and the parameter "
                    + shape.elements() + " (" + shape + ")");
        }
        bind(grad.is_contiguous() ? grad : copy(grad), gradientType);
        parameter.frozen(false);
        return true;
    }

    private void bind(org.bytedeco.pytorch.Tensor grad, ElementType gradientType) {
        long at = TorchTensors.address(grad);
        if (gradient != null && gradient.segment().address() == at && gradient.type() == gradientType) {
            return;
        }
        Tensor next = memory.inPlace(gradientOf, gradientType, shape, at);
        try {
            parameter.gradient(next.segment(), gradientType);
        } catch (RuntimeException | Error e) {
            next.close();
            throw e;
        }
        forgetGradient();
        gradient = next;
    }

    /** Freed with the caller's scope, after the step. */
    private org.bytedeco.pytorch.Tensor copy(org.bytedeco.pytorch.Tensor grad) {
        if (!copied) {
            copied = true;
            LOG.warn("{} is not contiguous: it is copied in every step in which that is so", gradientOf);
        }
        return grad.contiguous();
    }

    private void requireHere(String what, org.bytedeco.pytorch.Tensor tensor) {
        if (!memory.holds(tensor)) {
            try (PointerScope _ = new PointerScope()) {
                throw new IllegalArgumentException(
                        what + " lies on " + tensor.device().str().getString() + ", and the optimizer works on "
                                + memory.device().describe()
                                + "; a module's trained parameters must lie on one device, where the optimizer is"
                                + " built");
            }
        }
    }

    private void requireInPlace() {
        long now = TorchTensors.address(found.tensor());
        if (now == address) {
            return;
        }
        requireMemory(now);
        throw new IllegalStateException("the weights of parameter '" + name() + "' moved from 0x"
                + Long.toHexString(address) + " to 0x" + Long.toHexString(now)
                + " since the optimizer was built; build it after module.to(...) and the like, and load its state");
    }

    private void requireMemory(long now) {
        if (now == 0) {
            throw new IllegalStateException("the memory of parameter '" + name()
                    + "' was freed by PyTorch; build the optimizer anew over a module that has its weights");
        }
    }

    private void forgetGradient() {
        if (gradient != null) {
            gradient.close();
            gradient = null;
        }
    }

    /** Lets go of the memory but not of what was found. */
    void forget() {
        forgetGradient();
        weights.close();
    }

    @Override
    public void close() {
        forget();
        found.close();
    }
}
