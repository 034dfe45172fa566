/** What every room shares: the exceptions of Muonium. */
@NullMarked
package dev.muonium;

import org.jspecify.annotations.NullMarked;
