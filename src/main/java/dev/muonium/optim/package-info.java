/**
 * Optimizers that work in place on weights and gradients of the caller: Muon and AdamW with state in FP32 or 8 bits, parameter groups
 * and routing, learning-rate schedules, clipping by the global norm.
 */
@NullMarked
package dev.muonium.optim;

import org.jspecify.annotations.NullMarked;
