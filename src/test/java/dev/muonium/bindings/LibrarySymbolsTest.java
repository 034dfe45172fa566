package dev.muonium.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.MuoniumException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class LibrarySymbolsTest {
    private static final SymbolLookup ONLY_KNOWN =
            name -> name.equals("known") ? Optional.of(MemorySegment.ofAddress(64)) : Optional.empty();

    private final LibrarySymbols symbols = new LibrarySymbols(NativeLibrary.DNNL);

    @Test
    void namesTheLibraryAndTheRemedyWhenNothingIsInstalled() {
        String sentence =
                "libdnnl.so.3 (oneDNN) is not loaded: ask for Device.cpu() first, which loads it or says why it"
                        + " cannot.";

        assertFalse(symbols.isInstalled());
        assertEquals(
                sentence, assertThrows(MuoniumException.class, symbols::require).getMessage());
        assertEquals(
                sentence,
                assertThrows(UnsatisfiedLinkError.class, () -> symbols.find("known"))
                        .getMessage());
        assertEquals(
                sentence,
                assertThrows(UnsatisfiedLinkError.class, () -> symbols.findOrThrow("known"))
                        .getMessage());
    }

    @Test
    void findsWhatWasInstalled() {
        symbols.install(ONLY_KNOWN);

        assertTrue(symbols.isInstalled());
        symbols.require();
        assertEquals(MemorySegment.ofAddress(64), symbols.findOrThrow("known"));
        assertEquals(Optional.empty(), symbols.find("unknown"));
    }

    @Test
    void namesTheFunctionThatALibraryLacks() {
        symbols.install(ONLY_KNOWN);

        var error = assertThrows(UnsatisfiedLinkError.class, () -> symbols.findOrThrow("unknown"));
        assertEquals(
                "libdnnl.so.3 (oneDNN) has no function unknown: the library that was loaded is of another version than"
                        + " Muonium's bindings were made for.",
                error.getMessage());
    }

    @Test
    void refusesASecondLibraryAndKeepsTheFirst() {
        symbols.install(ONLY_KNOWN);

        assertThrows(IllegalStateException.class, () -> symbols.install(_ -> Optional.empty()));
        assertEquals(MemorySegment.ofAddress(64), symbols.findOrThrow("known"));
    }
}
