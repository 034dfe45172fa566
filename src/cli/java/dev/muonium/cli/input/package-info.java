/** What a training run is made from: its preset, its text and its tokens. */
@NullMarked
package dev.muonium.cli.input;

import org.jspecify.annotations.NullMarked;
