/**
 * Arrays in block formats: codes and scales. {@link dev.muonium.quant.QuantizedTensor} with an FP8 {@link dev.muonium.memory.BlockFormat} holds an activation or a gradient of
 * a caller's own model; {@code dev.muonium.activations} has what does so for many between forward and backward.
 */
@NullMarked
package dev.muonium.quant;

import org.jspecify.annotations.NullMarked;
