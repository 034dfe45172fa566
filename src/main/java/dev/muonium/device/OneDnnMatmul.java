package dev.muonium.device;

import dev.muonium.bindings.dnnl.Dnnl;
import dev.muonium.bindings.dnnl.dnnl_exec_arg_t;
import dev.muonium.bindings.openmp.OpenMp;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Segments;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.ref.Reference;

/**
 * oneDNN's matmul primitive with plain strided matrices, on one thread. The primitive is shared; each worker has memory
 * objects and an argument list of its own, into which a run puts addresses.
 */
final class OneDnnMatmul implements Matmul {
    /**
     * {@code dnnl_memory_set_data_handle} with the address as a number: the generated binding takes a segment, and a segment
     * at an offset would be garbage of every run. The function only stores the address, so that it may keep the garbage
     * collector waiting.
     */
    private static final class SetDataHandle {
        static final MethodHandle HANDLE = Linker.nativeLinker()
                .downcallHandle(
                        Dnnl.dnnl_memory_set_data_handle$address(),
                        FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG),
                        Linker.Option.critical(false));
    }

    private final OneDnn oneDnn;
    private final MatmulSpec spec;
    private final String implementation;
    private final MemorySegment primitive;
    private final Arguments[] arguments;
    private final long aExtent;
    private final long bExtent;
    private final long cExtent;

    /** What one worker runs the primitive with. */
    private record Arguments(
            MemorySegment a, MemorySegment b, MemorySegment c, MemorySegment scratchpad, MemorySegment list) {
        static final int COUNT = 4;
    }

    private OneDnnMatmul(
            OneDnn oneDnn, MatmulSpec spec, String implementation, MemorySegment primitive, Arguments[] arguments) {
        this.oneDnn = oneDnn;
        this.spec = spec;
        this.implementation = implementation;
        this.primitive = primitive;
        this.arguments = arguments;
        this.aExtent =
                BatchSpec.extent(spec.transA() ? spec.k() : spec.m(), spec.transA() ? spec.m() : spec.k(), spec.lda());
        this.bExtent =
                BatchSpec.extent(spec.transB() ? spec.n() : spec.k(), spec.transB() ? spec.k() : spec.n(), spec.ldb());
        this.cExtent = BatchSpec.extent(spec.m(), spec.n(), spec.ldc());
    }

    /** oneDNN plans for as many OpenMP threads as the calling thread has set, and relies on that when it runs: one, in both. */
    static OneDnnMatmul create(OneDnn oneDnn, MatmulSpec spec) {
        int before = OpenMp.omp_get_max_threads();
        OpenMp.omp_set_num_threads(1);
        try (Description description = Description.of(oneDnn, spec)) {
            MemorySegment primitive = oneDnn.create(
                    "dnnl_primitive_create",
                    OneDnnMatmul::destroyPrimitive,
                    out -> Dnnl.dnnl_primitive_create(out, description.primitive()));
            Arguments[] arguments = new Arguments[oneDnn.workers()];
            for (int worker = 0; worker < arguments.length; worker++) {
                arguments[worker] = arguments(oneDnn, description);
                oneDnn.lane(worker).reserve(description.scratchpadBytes());
            }
            return new OneDnnMatmul(oneDnn, spec, description.implementation(), primitive, arguments);
        } finally {
            OpenMp.omp_set_num_threads(before);
        }
    }

    @Override
    public MatmulSpec spec() {
        return spec;
    }

    /** What oneDNN calls the implementation that it chose, for example {@code brg_matmul:avx512_core}. */
    String implementation() {
        return implementation;
    }

    @Override
    public void run(
            int worker, MemorySegment a, long aOffset, MemorySegment b, long bOffset, MemorySegment c, long cOffset) {
        oneDnn.requireOpen();
        if (worker < 0 || worker >= arguments.length) {
            throw new IllegalArgumentException(
                    "worker is " + worker + "; this device has workers 0 to " + (arguments.length - 1));
        }
        requireMatrix("a", a, spec.aType(), aOffset, aExtent);
        requireMatrix("b", b, spec.bType(), bOffset, bExtent);
        requireMatrix("c", c, spec.cType(), cOffset, cExtent);
        Segments.requireWritable("c", c, spec.cType(), 0);
        long aAddress = a.address() + aOffset * spec.aType().byteSize();
        long bAddress = b.address() + bOffset * spec.bType().byteSize();
        long cAddress = c.address() + cOffset * spec.cType().byteSize();
        OneDnnLane lane = oneDnn.lane(worker);
        try {
            synchronized (lane) {
                oneDnn.requireOpen(); // again: a close frees the scratchpad under this lock
                run(lane, arguments[worker], aAddress, bAddress, cAddress);
            }
        } finally {
            // Only their addresses went into the call, so nothing else keeps automatic arenas from freeing them.
            Reference.reachabilityFence(a);
            Reference.reachabilityFence(b);
            Reference.reachabilityFence(c);
        }
    }

    private void run(OneDnnLane lane, Arguments arguments, long a, long b, long c) {
        set(arguments.a(), a);
        set(arguments.b(), b);
        set(arguments.c(), c);
        set(arguments.scratchpad(), lane.scratchpadAddress());
        // The number of OpenMP threads belongs to the calling thread, which may be the application's: put it back.
        int before = OpenMp.omp_get_max_threads();
        OpenMp.omp_set_num_threads(1);
        int status = Dnnl.dnnl_primitive_execute(primitive, lane.stream(), Arguments.COUNT, arguments.list());
        OpenMp.omp_set_num_threads(before);
        OneDnn.check(status, "dnnl_primitive_execute");
    }

    private static void set(MemorySegment memory, long address) {
        int status;
        try {
            status = (int) SetDataHandle.HANDLE.invokeExact(memory, address);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError("a native function throws nothing", e);
        }
        OneDnn.check(status, "dnnl_memory_set_data_handle");
    }

    private static void requireMatrix(String name, MemorySegment segment, ElementType type, long offset, long extent) {
        if (offset < 0) {
            throw new IllegalArgumentException(
                    "the offset of '" + name + "' is " + offset + "; it must not be negative");
        }
        Segments.requireOffHeap(
                name, segment, type, offset > Long.MAX_VALUE - extent ? Long.MAX_VALUE : offset + extent);
    }

    private static Arguments arguments(OneDnn oneDnn, Description description) {
        MemorySegment a = memory(oneDnn, description.a());
        MemorySegment b = memory(oneDnn, description.b());
        MemorySegment c = memory(oneDnn, description.c());
        MemorySegment scratchpad = memory(oneDnn, description.scratchpad());
        MemorySegment list = oneDnn.allocate(dnnl_exec_arg_t.sizeof() * Arguments.COUNT);
        argument(list, 0, Dnnl.DNNL_ARG_SRC(), a);
        argument(list, 1, Dnnl.DNNL_ARG_WEIGHTS(), b);
        argument(list, 2, Dnnl.DNNL_ARG_DST(), c);
        argument(list, 3, Dnnl.DNNL_ARG_SCRATCHPAD(), scratchpad);
        return new Arguments(a, b, c, scratchpad, list);
    }

    /** A memory object without memory: the address comes with each run. */
    private static MemorySegment memory(OneDnn oneDnn, MemorySegment layout) {
        return oneDnn.create(
                "dnnl_memory_create",
                OneDnnMatmul::destroyMemory,
                out -> Dnnl.dnnl_memory_create(out, layout, oneDnn.engine(), MemorySegment.NULL));
    }

    private static void argument(MemorySegment list, int index, int role, MemorySegment memory) {
        MemorySegment argument = dnnl_exec_arg_t.asSlice(list, index);
        dnnl_exec_arg_t.arg(argument, role);
        dnnl_exec_arg_t.memory(argument, memory);
    }

    private static void destroyMemory(MemorySegment handle) {
        OneDnn.check(Dnnl.dnnl_memory_destroy(handle), "dnnl_memory_destroy");
    }

    private static void destroyPrimitive(MemorySegment handle) {
        OneDnn.check(Dnnl.dnnl_primitive_destroy(handle), "dnnl_primitive_destroy");
    }

    private static void destroyDescription(MemorySegment handle) {
        OneDnn.check(Dnnl.dnnl_primitive_desc_destroy(handle), "dnnl_primitive_desc_destroy");
    }

    private static void destroyLayout(MemorySegment handle) {
        OneDnn.check(Dnnl.dnnl_memory_desc_destroy(handle), "dnnl_memory_desc_destroy");
    }

    private static void destroyAttributes(MemorySegment handle) {
        OneDnn.check(Dnnl.dnnl_primitive_attr_destroy(handle), "dnnl_primitive_attr_destroy");
    }

    private static void destroyPostOperations(MemorySegment handle) {
        OneDnn.check(Dnnl.dnnl_post_ops_destroy(handle), "dnnl_post_ops_destroy");
    }

    /** The descriptors that a primitive is made from; needed no longer once it is. */
    private record Description(Arena arena, MemorySegment a, MemorySegment b, MemorySegment c, MemorySegment primitive)
            implements AutoCloseable {

        static Description of(OneDnn oneDnn, MatmulSpec spec) {
            Arena arena = Arena.ofConfined();
            try {
                MemorySegment a = layout(arena, spec.aType(), spec.m(), spec.k(), spec.transA(), spec.lda());
                MemorySegment b = layout(arena, spec.bType(), spec.k(), spec.n(), spec.transB(), spec.ldb());
                MemorySegment c = layout(arena, spec.cType(), spec.m(), spec.n(), false, spec.ldc());
                return new Description(arena, a, b, c, primitive(arena, oneDnn, spec, a, b, c));
            } catch (RuntimeException | Error e) {
                arena.close(); // what was made until then
                throw e;
            }
        }

        private static MemorySegment primitive(
                Arena arena, OneDnn oneDnn, MatmulSpec spec, MemorySegment a, MemorySegment b, MemorySegment c) {
            MemorySegment attributes = attributes(arena, spec);
            return OneDnn.create(arena, "dnnl_matmul_primitive_desc_create", OneDnnMatmul::destroyDescription, out -> {
                int status = Dnnl.dnnl_matmul_primitive_desc_create(
                        out, oneDnn.engine(), a, b, MemorySegment.NULL, c, attributes);
                if (status == Dnnl.dnnl_unimplemented()) {
                    throw new UnsupportedOperationException(
                            "oneDNN has no product of " + spec.aType() + " matrices into "
                                    + spec.cType() + " for this processor at tier " + oneDnn.tier()
                                    + "; use F32, or a processor with AVX-512 for BF16");
                }
                return status;
            });
        }

        /** {@code op(X)} as rows × cols: a transpose is nothing but exchanged strides. */
        private static MemorySegment layout(
                Arena arena, ElementType type, long rows, long cols, boolean transposed, long ld) {
            MemorySegment extents = arena.allocateFrom(ValueLayout.JAVA_LONG, rows, cols);
            MemorySegment strides = arena.allocateFrom(ValueLayout.JAVA_LONG, transposed ? 1 : ld, transposed ? ld : 1);
            return OneDnn.create(
                    arena,
                    "dnnl_memory_desc_create_with_strides",
                    OneDnnMatmul::destroyLayout,
                    out -> Dnnl.dnnl_memory_desc_create_with_strides(out, 2, extents, OneDnn.code(type), strides));
        }

        private static MemorySegment attributes(Arena arena, MatmulSpec spec) {
            MemorySegment attributes = OneDnn.create(
                    arena,
                    "dnnl_primitive_attr_create",
                    OneDnnMatmul::destroyAttributes,
                    Dnnl::dnnl_primitive_attr_create);
            OneDnn.check(
                    Dnnl.dnnl_primitive_attr_set_scratchpad_mode(attributes, Dnnl.dnnl_scratchpad_mode_user()),
                    "dnnl_primitive_attr_set_scratchpad_mode");
            OneDnn.check(
                    Dnnl.dnnl_primitive_attr_set_deterministic(attributes, 1), "dnnl_primitive_attr_set_deterministic");
            if (spec.accumulate()) {
                MemorySegment sum = OneDnn.create(
                        arena, "dnnl_post_ops_create", OneDnnMatmul::destroyPostOperations, Dnnl::dnnl_post_ops_create);
                OneDnn.check(
                        Dnnl.dnnl_post_ops_append_sum(sum, 1, 0, Dnnl.dnnl_data_type_undef()),
                        "dnnl_post_ops_append_sum");
                OneDnn.check(
                        Dnnl.dnnl_primitive_attr_set_post_ops(attributes, sum), "dnnl_primitive_attr_set_post_ops");
            }
            return attributes;
        }

        /** Belongs to the primitive's descriptor. */
        MemorySegment scratchpad() {
            return Dnnl.dnnl_primitive_desc_query_md(primitive, Dnnl.dnnl_query_scratchpad_md(), 0);
        }

        long scratchpadBytes() {
            return Dnnl.dnnl_memory_desc_get_size(scratchpad());
        }

        String implementation() {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
                OneDnn.check(
                        Dnnl.dnnl_primitive_desc_query(primitive, Dnnl.dnnl_query_impl_info_str(), 0, out),
                        "dnnl_primitive_desc_query");
                return out.get(ValueLayout.ADDRESS, 0)
                        .reinterpret(Long.MAX_VALUE)
                        .getString(0);
            }
        }

        @Override
        public void close() {
            arena.close();
        }
    }
}
