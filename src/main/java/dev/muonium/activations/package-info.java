/**
 * What waits between forward and backward of a caller's own model, made smaller: {@link dev.muonium.activations.Recomputation} keeps inputs of segments and
 * computes the rest again, {@link dev.muonium.activations.CodedActivations} lets arrays wait in FP8. The reference GPT uses the latter.
 */
@NullMarked
package dev.muonium.activations;

import org.jspecify.annotations.NullMarked;
