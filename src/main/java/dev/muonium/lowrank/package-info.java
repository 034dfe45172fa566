/**
 * GaLore 2: matrices whose gradients, and with them the optimizer's state, live in a space of low rank.
 */
@NullMarked
package dev.muonium.lowrank;

import org.jspecify.annotations.NullMarked;
