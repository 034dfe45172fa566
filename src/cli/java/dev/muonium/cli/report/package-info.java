/** The report of a comparison: what was measured, as numbers, as text and as pictures. */
@NullMarked
package dev.muonium.cli.report;

import org.jspecify.annotations.NullMarked;
