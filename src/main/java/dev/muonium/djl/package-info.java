/**
 * An optimizer for training apps that use the Deep Java Library (DJL) with its PyTorch engine: Muon and AdamW on the arrays of DJL's
 * own trainer, in place.
 *
 * <p>DJL is an optional dependency. Whoever uses this package brings {@code ai.djl:api} and {@code ai.djl.pytorch:pytorch-engine} with
 * the natives of PyTorch; nobody else needs them. {@link dev.muonium.djl.DjlAvailability} tells what is missing.
 */
@NullMarked
package dev.muonium.djl;

import org.jspecify.annotations.NullMarked;
