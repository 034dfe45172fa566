package dev.muonium.device;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/**
 * Opens shared libraries for the whole process. Not by {@code System.load}: it ties a library to one class loader, and an
 * application that embeds Muonium may have several.
 */
final class DynamicLinker {
    private static final int RTLD_LAZY = 1;

    private DynamicLinker() {}

    /** The dynamic linker would not open a library; the message is its own text. */
    static final class CannotOpen extends Exception {
        private static final long serialVersionUID = 1L;

        private final String reason;

        CannotOpen(String reason) {
            super(reason);
            this.reason = reason;
        }

        String reason() {
            return reason;
        }
    }

    /** Opens the library at a path. It stays open for the life of the process. */
    static SymbolLookup open(Path library) throws CannotOpen {
        return open(library.toAbsolutePath().toString());
    }

    /** Opens a library by a path, or by a name that the dynamic linker looks for in its usual folders. */
    static SymbolLookup open(String library) throws CannotOpen {
        try {
            return SymbolLookup.libraryLookup(library, Arena.global());
        } catch (IllegalArgumentException e) {
            throw new CannotOpen(reason(library));
        }
    }

    /** The file that a function was loaded from. */
    static Path fileOf(MemorySegment function) {
        Linker linker = Linker.nativeLinker();
        MethodHandle dladdr = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("dladdr"),
                FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = arena.allocate(ValueLayout.ADDRESS, 4); // Dl_info: the first member is the file's name
            int found = (int) dladdr.invokeExact(function, info);
            if (found == 0) {
                throw new IllegalArgumentException("no library has a function at " + function);
            }
            return Path.of(
                    info.get(ValueLayout.ADDRESS, 0).reinterpret(Long.MAX_VALUE).getString(0));
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError("dladdr throws nothing", e);
        }
    }

    /** The JDK keeps the linker's reason to itself, so the linker is asked again. */
    private static String reason(String library) {
        Linker linker = Linker.nativeLinker();
        SymbolLookup libc = linker.defaultLookup();
        MethodHandle dlopen = linker.downcallHandle(
                libc.findOrThrow("dlopen"),
                FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
        MethodHandle dlerror =
                linker.downcallHandle(libc.findOrThrow("dlerror"), FunctionDescriptor.of(ValueLayout.ADDRESS));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handle = (MemorySegment) dlopen.invokeExact(arena.allocateFrom(library), RTLD_LAZY);
            MemorySegment text = (MemorySegment) dlerror.invokeExact();
            if (!handle.equals(MemorySegment.NULL) || text.equals(MemorySegment.NULL)) {
                return library + ": the dynamic linker gives no reason";
            }
            return text.reinterpret(Long.MAX_VALUE).getString(0);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError("dlopen and dlerror throw nothing", e);
        }
    }
}
