/** The events of the JDK's Flight Recorder, which {@code dev.muonium} describes for whoever reads a recording. Used by all rooms, and not exported. */
@NullMarked
package dev.muonium.events;

import org.jspecify.annotations.NullMarked;
