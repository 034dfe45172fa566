package dev.muonium.bindings;

import dev.muonium.MuoniumException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * The symbols of one library, which may come later than the classes that look them up.
 *
 * <p>A generated class looks a function up while a class is initialized. There, an exception would reach the caller as an
 * {@code ExceptionInInitializerError} with its sentence buried as a cause; an {@link Error} passes as it is. Hence the
 * {@link UnsatisfiedLinkError}s here, and {@link #require()} for whoever asks beforehand.
 */
final class LibrarySymbols implements SymbolLookup {
    private final NativeLibrary library;
    private final AtomicReference<@Nullable SymbolLookup> installed = new AtomicReference<>();

    LibrarySymbols(NativeLibrary library) {
        this.library = library;
    }

    void install(SymbolLookup symbols) {
        Objects.requireNonNull(symbols, "symbols");
        if (!installed.compareAndSet(null, symbols)) {
            throw new IllegalStateException(library
                    + " is installed already: functions of the first may be in use, so a second cannot take"
                    + " its place.");
        }
    }

    boolean isInstalled() {
        return installed.get() != null;
    }

    void require() {
        if (!isInstalled()) {
            throw new MuoniumException(library.notLoaded());
        }
    }

    @Override
    public Optional<MemorySegment> find(String name) {
        SymbolLookup symbols = installed.get();
        if (symbols == null) {
            throw new UnsatisfiedLinkError(library.notLoaded());
        }
        return symbols.find(name);
    }

    @Override
    public MemorySegment findOrThrow(String name) {
        return find(name).orElseThrow(() -> new UnsatisfiedLinkError(library.lacks(name)));
    }
}
