package dev.muonium.nano;

import dev.muonium.memory.Tensor;

/**
 * A parameter of a model in memory; the model owns both tensors.
 *
 * @param description its name, shape and kind
 * @param weights FP32
 * @param gradient FP32, of the same shape; backward adds to it
 */
public record GptParameter(ParameterDescription description, Tensor weights, Tensor gradient) {
    /** Its name. */
    public String name() {
        return description.name();
    }
}
