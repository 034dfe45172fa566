/**
 * The polar factor of a matrix by Newton-Schulz: schedules of coefficients, the ways of evaluating them, and the choice of a way
 * for a shape and a device.
 */
@NullMarked
package dev.muonium.ortho;

import org.jspecify.annotations.NullMarked;
