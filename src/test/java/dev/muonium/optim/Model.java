package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;

/** Weights and gradients of a few parameters, filled with reproducible noise. */
final class Model implements AutoCloseable {
    private final Device device;
    private final ElementType type;
    private final Random random = new Random(42);
    private final Map<String, Tensor> weights = new LinkedHashMap<>();
    private final Map<String, Tensor> gradients = new LinkedHashMap<>();
    private final List<Parameter> parameters = new ArrayList<>();

    Model(Device device, ElementType type) {
        this.device = device;
        this.type = type;
    }

    /** Two matrices of different shapes, an embedding, a head and a vector. */
    static Model small(Device device, ElementType type) {
        return new Model(device, type)
                .with("attn", ParameterKind.MATRIX, Shape.of(96, 96))
                .with("mlp", ParameterKind.MATRIX, Shape.of(80, 200))
                .with("wte", ParameterKind.EMBEDDING, Shape.of(300, 64))
                .with("head", ParameterKind.HEAD, Shape.of(64, 300))
                .with("gain", ParameterKind.VECTOR, Shape.of(77));
    }

    Model with(String name, ParameterKind kind, Shape shape) {
        return with(name, kind, shape, parameter -> parameter);
    }

    /** A parameter that is split, or goes to a group. */
    Model with(String name, ParameterKind kind, Shape shape, UnaryOperator<Parameter> change) {
        Tensor weight = device.allocate(Purpose.WEIGHTS, name, type, shape);
        Tensor gradient = device.allocate(Purpose.GRADIENTS, name, type, shape);
        weights.put(name, weight);
        gradients.put(name, gradient);
        weight.copyFrom(noise(weight.elements(), 0.1));
        parameters.add(change.apply(Parameter.of(kind, weight, gradient)));
        return this;
    }

    List<Parameter> parameters() {
        return parameters;
    }

    Parameter parameter(String name) {
        return parameters.stream()
                .filter(p -> p.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    Tensor weight(String name) {
        return weights.get(name);
    }

    Tensor gradient(String name) {
        return gradients.get(name);
    }

    /** New gradients from the model's own sequence of random numbers. */
    Model newGradients() {
        return newGradients(1);
    }

    Model newGradients(double deviation) {
        gradients.values().forEach(gradient -> gradient.copyFrom(noise(gradient.elements(), deviation)));
        return this;
    }

    Map<String, float[]> snapshot() {
        Map<String, float[]> copy = new LinkedHashMap<>();
        weights.forEach((name, tensor) -> copy.put(name, tensor.toFloatArray()));
        return copy;
    }

    private float[] noise(long count, double deviation) {
        float[] values = new float[Math.toIntExact(count)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (deviation * random.nextGaussian());
        }
        return values;
    }

    @Override
    public void close() {
        weights.values().forEach(Tensor::close);
        gradients.values().forEach(Tensor::close);
    }
}
