/** Arrays in block formats: codes and scales. */
@NullMarked
package dev.muonium.quant;

import org.jspecify.annotations.NullMarked;
