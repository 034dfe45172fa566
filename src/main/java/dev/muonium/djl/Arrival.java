package dev.muonium.djl;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.index.NDIndex;
import dev.muonium.device.Device;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * A parameter that DJL handed over, until all of its step are there.
 *
 * <p>DJL's parameter server hands over a duplicate of the gradient and closes it when the call returns. Where the duplicate says the same as the gradient
 * that PyTorch keeps with the weights, that one is read; else (a caller's own gradient, a parameter server that changes it) the
 * memory handed over is kept alive by a second reference. Neither copies anything.
 */
final class Arrival implements AutoCloseable {
    /** Bytes that one task compares. */
    private static final long CHUNK = 1 << 20;

    private final Route route;
    private final NDArray weight;
    private final TorchArray weights;
    private final NDArray gradientReference;
    private final TorchArray gradient;
    private final @Nullable NDArray ownReference;
    private final @Nullable TorchArray own;

    private Arrival(
            Route route,
            NDArray weight,
            TorchArray weights,
            NDArray gradientReference,
            TorchArray gradient,
            @Nullable NDArray ownReference,
            @Nullable TorchArray own) {
        this.route = route;
        this.weight = weight;
        this.weights = weights;
        this.gradientReference = gradientReference;
        this.gradient = gradient;
        this.ownReference = ownReference;
        this.own = own;
    }

    /**
     * Takes what {@code update} was called with.
     *
     * @throws IllegalStateException if an array was closed, or backward made no gradient
     * @throws IllegalArgumentException if an array is not one to update, or the gradient does not fit the weights
     */
    static Arrival of(TorchAbi abi, Device device, Route route, NDArray weight, NDArray gradient) {
        TorchArray weights = TorchArray.of(abi, weightsOf(route), weight);
        TorchArray given = TorchArray.of(abi, gradientOf(route), gradient);
        requireFit(route, weights, given);
        if (!weight.hasGradient()) {
            return new Arrival(route, weight, weights, gradient.stopGradient(), given, null, null);
        }
        NDArray ownReference = weight.getGradient();
        try {
            TorchArray own = TorchArray.of(abi, gradientOf(route), ownReference);
            boolean attached = isAttached(abi, route, weight, own);
            boolean same = isSame(device, ownReference, own, gradient, given);
            if (same && !attached) {
                throw new IllegalStateException("parameter '" + route.name()
                        + "' has no gradient: it took no part in what backward was called for; freeze it"
                        + " (Parameter.freeze(true)) while it takes none");
            }
            if (same) {
                return new Arrival(route, weight, weights, ownReference, own, ownReference, own);
            }
            NDArray reference = gradient.stopGradient();
            if (attached) {
                return new Arrival(route, weight, weights, reference, given, ownReference, own);
            }
            ownReference.close();
            return new Arrival(route, weight, weights, reference, given, null, null);
        } catch (RuntimeException e) {
            ownReference.close();
            throw e;
        }
    }

    static String weightsOf(Route route) {
        return "the array of parameter '" + route.name() + "'";
    }

    static String gradientOf(Route route) {
        return "the gradient of parameter '" + route.name() + "'";
    }

    private static void requireFit(Route route, TorchArray weights, TorchArray gradient) {
        if (!weights.hasShapeOf(gradient)) {
            throw new IllegalArgumentException(gradientOf(route) + " is " + gradient.shape() + ", and its weights are "
                    + weights.shape() + "; both must have the same shape");
        }
        if (!weights.device().equals(gradient.device())) {
            throw new IllegalArgumentException(gradientOf(route) + " lies on " + gradient.device()
                    + ", and its weights on " + weights.device() + "; both must lie on the same device");
        }
    }

    /** DJL makes zeros up for a gradient that PyTorch does not have, other ones each time it is asked. */
    private static boolean isAttached(TorchAbi abi, Route route, NDArray weight, TorchArray own) {
        try (NDArray again = weight.getGradient()) {
            return TorchArray.of(abi, gradientOf(route), again).isSameAs(own);
        }
    }

    private static boolean isSame(Device device, NDArray a, TorchArray first, NDArray b, TorchArray second) {
        if (first.isSameAs(second)) {
            return true;
        }
        if (first.isOnGpu() || !first.isContiguous() || !second.isContiguous()) {
            return a.contentEquals(b);
        }
        return isSame(device, first.hostMemory(), second.hostMemory());
    }

    private static boolean isSame(Device device, MemorySegment first, MemorySegment second) {
        long bytes = first.byteSize();
        if (bytes <= CHUNK) {
            return first.mismatch(second) < 0;
        }
        AtomicBoolean same = new AtomicBoolean(true);
        device.workers().run(Math.toIntExact((bytes + CHUNK - 1) / CHUNK), (task, worker) -> {
            long begin = task * CHUNK;
            long end = Math.min(bytes, begin + CHUNK);
            if (same.get() && MemorySegment.mismatch(first, begin, end, second, begin, end) >= 0) {
                same.set(false);
            }
        });
        return same.get();
    }

    Route route() {
        return route;
    }

    TorchArray weights() {
        return weights;
    }

    TorchArray gradient() {
        return gradient;
    }

    /** Checks that nothing was closed since it arrived. */
    void requireOpen() {
        TorchArray.requireOpen(weightsOf(route), weight);
        TorchArray.requireOpen(gradientOf(route), gradientReference);
    }

    /** Waits for what PyTorch computes on a GPU: what comes to the host comes behind it. */
    void awaitGpu() {
        gradientReference.toDevice(ai.djl.Device.cpu(), true).close();
    }

    /** Sets the gradient that PyTorch keeps with the weights to 0, so that the next backward begins with a sum of nothing. */
    void zeroGradient() {
        if (own == null || ownReference == null) {
            return;
        }
        if (own.isOnGpu()) {
            ownReference.set(new NDIndex("..."), 0); // not a product with 0, which NaN survives
        } else if (own.isContiguous()) {
            own.hostMemory().fill((byte) 0);
        } else {
            StridedCopy.zero(own);
        }
    }

    /** Lets go of the references; the arrays stay PyTorch's. */
    @Override
    public void close() {
        gradientReference.close();
        if (ownReference != null) {
            ownReference.close(); // where it is the same, a second time, which does nothing
        }
    }
}
