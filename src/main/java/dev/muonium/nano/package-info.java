/**
 * The reference GPT: configuration, text and tokens, forward and backward over off-heap memory, trainer and sampler. It is there to
 * train with the library's optimizers on real text, and to show how they are put to use.
 */
@NullMarked
package dev.muonium.nano;

import org.jspecify.annotations.NullMarked;
