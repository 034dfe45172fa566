/** What schedules of Newton-Schulz do to the singular values of recorded updates. */
@NullMarked
package dev.muonium.jmh.schedules;

import org.jspecify.annotations.NullMarked;
