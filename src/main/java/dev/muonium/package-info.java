/** The exception family of the library. */
@NullMarked
package dev.muonium;

import org.jspecify.annotations.NullMarked;
