package dev.muonium.bindings;

import java.lang.foreign.SymbolLookup;
import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;

/**
 * The one way from the generated bindings to the native libraries.
 *
 * <p>Whoever loads a library {@linkplain #install installs} its symbols here, once; the generated classes take them from
 * here when a function is called for the first time. They know no other way, because {@code System.load} ties a library
 * to one class loader and an application has several.
 *
 * <h2>The contract of the loader</h2>
 *
 * <ul>
 *   <li>Load and check a library, then install it, then call its functions. Before a call is reachable that may come
 *       first, {@link #require} answers with a sentence.
 *   <li>Constants, layouts and function descriptors of the bindings work without the library.
 *   <li>A function that is called although its library is not installed throws an {@link UnsatisfiedLinkError} that names
 *       the library and the remedy. The JVM then keeps that function (and no other) unusable for good: class
 *       initialization is not tried twice. So this is a fault of the caller, and not a way to probe for a library.
 * </ul>
 *
 * <p>Thread-safe. What was installed stays for the life of this class: its lookup must not belong to an arena that closes.
 */
public final class NativeSymbols {
    private static final Map<NativeLibrary, LibrarySymbols> SYMBOLS = byLibrary();

    private NativeSymbols() {}

    private static Map<NativeLibrary, LibrarySymbols> byLibrary() {
        var symbols = new EnumMap<NativeLibrary, LibrarySymbols>(NativeLibrary.class);
        for (NativeLibrary library : NativeLibrary.values()) {
            symbols.put(library, new LibrarySymbols(library));
        }
        return Collections.unmodifiableMap(symbols);
    }

    /**
     * Gives the bindings of a library their symbols.
     *
     * @param library what has been loaded
     * @param symbols its symbols, valid for the life of the JVM
     * @throws IllegalStateException when the library is installed already
     */
    public static void install(NativeLibrary library, SymbolLookup symbols) {
        of(library).install(symbols);
    }

    /** {@return whether the functions of a library can be called} */
    public static boolean isInstalled(NativeLibrary library) {
        return of(library).isInstalled();
    }

    /**
     * Returns when the functions of a library can be called.
     *
     * @throws dev.muonium.MuoniumException when it is not installed, with the remedy
     */
    public static void require(NativeLibrary library) {
        of(library).require();
    }

    /** {@return the symbols of Muonium's native library; for the generated class} */
    public static SymbolLookup muonium() {
        return of(NativeLibrary.MUONIUM);
    }

    /** {@return the symbols of the OpenMP runtime; for the generated class} */
    public static SymbolLookup openMp() {
        return of(NativeLibrary.OPENMP);
    }

    /** {@return the symbols of oneDNN; for the generated class} */
    public static SymbolLookup dnnl() {
        return of(NativeLibrary.DNNL);
    }

    /** {@return the symbols of the CUDA runtime; for the generated class} */
    public static SymbolLookup cudaRuntime() {
        return of(NativeLibrary.CUDA_RUNTIME);
    }

    /** {@return the symbols of cuBLAS; for the generated class} */
    public static SymbolLookup cublas() {
        return of(NativeLibrary.CUBLAS);
    }

    /** {@return the symbols of cublasLt; for the generated class} */
    public static SymbolLookup cublasLt() {
        return of(NativeLibrary.CUBLAS_LT);
    }

    private static LibrarySymbols of(NativeLibrary library) {
        LibrarySymbols symbols = SYMBOLS.get(library);
        if (symbols == null) {
            throw new AssertionError(library);
        }
        return symbols;
    }
}
