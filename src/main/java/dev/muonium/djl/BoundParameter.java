package dev.muonium.djl;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.optim.Parameter;

/** A parameter of an optimizer of ours over the arrays of DJL. */
final class BoundParameter implements AutoCloseable {
    private final Parameter parameter;
    private final ArrayOnDevice weights;
    private final ArrayOnDevice gradient;

    /** @throws IllegalArgumentException if it cannot be split as was said */
    BoundParameter(Device device, Arrival arrival) {
        Route route = arrival.route();
        this.weights = new ArrayOnDevice(device, Arrival.weightsOf(route), Purpose.WEIGHTS, arrival.weights());
        this.gradient = new ArrayOnDevice(device, Arrival.gradientOf(route), Purpose.GRADIENTS, arrival.gradient());
        try {
            this.parameter = route.of(Parameter.of(
                    route.name(),
                    route.kind(),
                    arrival.weights().shape(),
                    weights.segment(),
                    ElementType.F32,
                    gradient.segment(),
                    ElementType.F32));
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    Parameter parameter() {
        return parameter;
    }

    /**
     * Before a step: turns to what arrived for it.
     *
     * @throws IllegalStateException if the weights are another array than before
     */
    void bind(Arrival arrival) {
        if (!arrival.weights().isSameAs(weights.array())) {
            throw new IllegalStateException("the weights of parameter '" + parameter.name()
                    + "' are another array than in the step before: a second trainer on another device needs an"
                    + " optimizer of its own, and after parameters were loaded, save the optimizer's state and load it"
                    + " into a new one");
        }
        parameter.gradient(gradient.bind(arrival.gradient()));
    }

    void copyIn() {
        weights.copyIn();
        gradient.copyIn();
    }

    void copyOut() {
        weights.copyOut();
    }

    @Override
    public void close() {
        weights.close();
        gradient.close();
    }
}
