/** The command line. */
@NullMarked
package dev.muonium.cli;

import org.jspecify.annotations.NullMarked;
