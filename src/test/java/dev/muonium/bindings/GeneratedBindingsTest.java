package dev.muonium.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.bindings.dnnl.Dnnl;
import dev.muonium.bindings.dnnl.dnnl_exec_arg_t;
import dev.muonium.bindings.dnnl.dnnl_version_t;
import dev.muonium.bindings.mu.Muonium;
import dev.muonium.bindings.openmp.OpenMp;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;

/** The generated classes against the libraries that the jar holds, without anything of ours between. */
final class GeneratedBindingsTest {
    @Test
    void everyBoundFunctionIsInItsLibrary() {
        assertEquals(List.of(), missing(Muonium.class, "libmuonium.so"));
        assertEquals(List.of(), missing(OpenMp.class, "libgomp.so.1"));
        assertEquals(List.of(), missing(Dnnl.class, "libdnnl.so.3"));
    }

    private static List<String> missing(Class<?> bindings, String file) {
        SymbolLookup library = bundled(file);
        List<String> functions = Arrays.stream(bindings.getMethods())
                .filter(method -> method.getName().endsWith("$address"))
                .map(method -> method.getName().replace("$address", ""))
                .toList();
        assertTrue(functions.size() >= 3, bindings + " binds hardly anything: " + functions);
        return functions.stream()
                .filter(name -> library.find(name).isEmpty())
                .sorted()
                .toList();
    }

    @Test
    void aCallWithoutItsLibraryIsExplained() throws Exception {
        assertEquals(NativeLibrary.DNNL.notLoaded(), IsolatedCall.of(CallWithoutLibrary.class));
    }

    static final class CallWithoutLibrary implements Callable<String> {
        @Override
        public String call() {
            assertEquals(3, Dnnl.dnnl_f32());
            try {
                Dnnl.dnnl_version();
                return "no error";
            } catch (UnsatisfiedLinkError error) {
                return error.getMessage();
            }
        }
    }

    @Test
    void ourLibraryIsOfTheHeadersVersion() throws Exception {
        assertEquals(Muonium.MU_ABI_VERSION(), IsolatedCall.of(AbiVersion.class));
    }

    static final class AbiVersion implements Callable<Integer> {
        @Override
        public Integer call() {
            NativeSymbols.install(NativeLibrary.MUONIUM, bundled("libmuonium.so"));
            return Muonium.mu_abi_version();
        }
    }

    @Test
    void oneDnnMultiplies() throws Exception {
        assertEquals("19.0 22.0 43.0 50.0", IsolatedCall.of(Multiplication.class));
    }

    /** [1 2; 3 4] times [5 6; 7 8], once by sgemm and once by a matmul primitive with a scratchpad of ours. */
    static final class Multiplication implements Callable<String> {
        private static final MemorySegment NULL = MemorySegment.NULL;

        @Override
        public String call() {
            NativeSymbols.install(NativeLibrary.OPENMP, bundled("libgomp.so.1"));
            NativeSymbols.install(NativeLibrary.DNNL, bundled("libdnnl.so.3"));
            OpenMp.omp_set_num_threads(1);
            assertEquals(1, OpenMp.omp_get_max_threads());
            MemorySegment version = Dnnl.dnnl_version();
            assertEquals(Dnnl.DNNL_VERSION_MAJOR(), dnnl_version_t.major(version));
            assertEquals(Dnnl.DNNL_RUNTIME_OMP(), dnnl_version_t.cpu_runtime(version));
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment a = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1, 2, 3, 4);
                MemorySegment b = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 5, 6, 7, 8);
                MemorySegment bySgemm = arena.allocate(ValueLayout.JAVA_FLOAT, 4);
                ok(Dnnl.dnnl_sgemm((byte) 'N', (byte) 'N', 2, 2, 2, 1, a, 2, b, 2, 0, bySgemm, 2));
                MemorySegment byMatmul = arena.allocate(ValueLayout.JAVA_FLOAT, 4);
                matmul(arena, a, b, byMatmul);
                assertEquals(-1, bySgemm.mismatch(byMatmul));
                var text = new StringBuilder();
                for (float value : byMatmul.toArray(ValueLayout.JAVA_FLOAT)) {
                    text.append(text.isEmpty() ? "" : " ").append(value);
                }
                return text.toString();
            }
        }

        private static void matmul(Arena arena, MemorySegment a, MemorySegment b, MemorySegment c) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            ok(Dnnl.dnnl_engine_create(out, Dnnl.dnnl_cpu(), 0));
            MemorySegment engine = handle(out);
            ok(Dnnl.dnnl_stream_create(out, engine, Dnnl.dnnl_stream_in_order()));
            MemorySegment stream = handle(out);
            MemorySegment dims = arena.allocateFrom(ValueLayout.JAVA_LONG, 2, 2);
            MemorySegment strides = arena.allocateFrom(ValueLayout.JAVA_LONG, 2, 1);
            ok(Dnnl.dnnl_memory_desc_create_with_strides(out, 2, dims, Dnnl.dnnl_f32(), strides));
            MemorySegment layout = handle(out);
            ok(Dnnl.dnnl_primitive_attr_create(out));
            MemorySegment attributes = handle(out);
            ok(Dnnl.dnnl_primitive_attr_set_scratchpad_mode(attributes, Dnnl.dnnl_scratchpad_mode_user()));
            ok(Dnnl.dnnl_matmul_primitive_desc_create(out, engine, layout, layout, NULL, layout, attributes));
            MemorySegment description = handle(out);
            MemorySegment scratchpad =
                    Dnnl.dnnl_primitive_desc_query_md(description, Dnnl.dnnl_query_scratchpad_md(), 0);
            assertNotNull(scratchpad);
            MemorySegment scratch = arena.allocate(Math.max(64, Dnnl.dnnl_memory_desc_get_size(scratchpad)), 64);
            ok(Dnnl.dnnl_primitive_create(out, description));
            MemorySegment primitive = handle(out);

            int[] roles = {Dnnl.DNNL_ARG_SRC(), Dnnl.DNNL_ARG_WEIGHTS(), Dnnl.DNNL_ARG_DST(), Dnnl.DNNL_ARG_SCRATCHPAD()
            };
            MemorySegment[] layouts = {layout, layout, layout, scratchpad};
            MemorySegment[] data = {a, b, c, scratch};
            MemorySegment arguments = dnnl_exec_arg_t.allocateArray(roles.length, arena);
            for (int i = 0; i < roles.length; i++) {
                ok(Dnnl.dnnl_memory_create(out, layouts[i], engine, data[i]));
                MemorySegment argument = dnnl_exec_arg_t.asSlice(arguments, i);
                dnnl_exec_arg_t.arg(argument, roles[i]);
                dnnl_exec_arg_t.memory(argument, handle(out));
            }
            ok(Dnnl.dnnl_primitive_execute(primitive, stream, roles.length, arguments));
            ok(Dnnl.dnnl_stream_wait(stream));

            for (int i = 0; i < roles.length; i++) {
                ok(Dnnl.dnnl_memory_destroy(dnnl_exec_arg_t.memory(dnnl_exec_arg_t.asSlice(arguments, i))));
            }
            ok(Dnnl.dnnl_primitive_destroy(primitive));
            ok(Dnnl.dnnl_primitive_desc_destroy(description));
            ok(Dnnl.dnnl_primitive_attr_destroy(attributes));
            ok(Dnnl.dnnl_memory_desc_destroy(layout));
            ok(Dnnl.dnnl_stream_destroy(stream));
            ok(Dnnl.dnnl_engine_destroy(engine));
        }

        private static MemorySegment handle(MemorySegment out) {
            return out.get(ValueLayout.ADDRESS, 0);
        }

        private static void ok(int status) {
            assertEquals(Dnnl.dnnl_success(), status);
        }
    }

    /** A library as the build put it into the resources. oneDNN needs libgomp, which has to be loaded before it. */
    private static SymbolLookup bundled(String file) {
        if (file.equals("libdnnl.so.3")) {
            var _ = bundled("libgomp.so.1");
        }
        String resource = "/dev/muonium/native/linux-x86_64/" + file;
        URL url = GeneratedBindingsTest.class.getResource(resource);
        assertNotNull(url, "the build puts " + file + " under target/classes" + resource);
        try {
            return SymbolLookup.libraryLookup(Path.of(url.toURI()), Arena.global());
        } catch (URISyntaxException e) {
            throw new AssertionError(e);
        }
    }
}
