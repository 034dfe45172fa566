/**
 * Where the generated bindings get their symbols from.
 *
 * <p>The packages below this one are made by jextract ({@code bindings/regenerate.sh}) and are not exported; nothing in
 * them is edited by hand. {@link dev.muonium.bindings.NativeSymbols} is the only way from them to a native library.
 */
@NullMarked
package dev.muonium.bindings;

import org.jspecify.annotations.NullMarked;
