package dev.muonium.device;

import dev.muonium.NativeException;
import dev.muonium.bindings.dnnl.Dnnl;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.ElementType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The oneDNN of one device: an engine, a lane per worker, and the products that were made. The handles live in an arena, so
 * that a use after close is an {@link IllegalStateException} and never reaches freed memory.
 *
 * <p>oneDNN compiles its kernels for an instruction set that is fixed when it is first used in a process. The first device
 * that multiplies fixes it to its own tier; on a device of another tier products are then refused. This class may be there
 * more than once, in several class loaders, and oneDNN only once: so oneDNN is asked what came of it.
 */
final class OneDnn implements AutoCloseable {
    /** The tier that oneDNN was fixed to; guarded by the class. */
    private static @Nullable CpuTier fixedTo;

    private final Arena arena = Arena.ofShared();
    private final CpuTier tier;
    private final MemorySegment engine;
    private final OneDnnLane[] lanes;
    private final Map<MatmulSpec, OneDnnMatmul> products = new ConcurrentHashMap<>();
    private volatile boolean closed;

    private OneDnn(CpuTier tier, int workers, Allocator allocator) {
        this.tier = tier;
        this.lanes = new OneDnnLane[workers];
        try {
            this.engine = create(
                    "dnnl_engine_create",
                    OneDnn::destroyEngine,
                    out -> Dnnl.dnnl_engine_create(out, Dnnl.dnnl_cpu(), 0));
            for (int i = 0; i < workers; i++) {
                lanes[i] = new OneDnnLane(this, allocator, i);
            }
        } catch (RuntimeException | Error e) {
            arena.close(); // the engine and the streams; no lane has a scratchpad yet
            throw e;
        }
    }

    /**
     * @param tier the tier of the device
     * @param best the best tier that the processor can run
     * @throws IllegalStateException if oneDNN has been used in this process with another tier
     */
    static OneDnn open(CpuTier tier, CpuTier best, int workers, Allocator allocator) {
        fix(tier, best);
        return new OneDnn(tier, workers, allocator);
    }

    private static synchronized void fix(CpuTier tier, CpuTier best) {
        if (fixedTo == null) {
            // It refuses when it was set or used before. Whether that was to the same tier, the next question tells.
            int status = tier == best ? Dnnl.dnnl_success() : Dnnl.dnnl_set_max_cpu_isa(isa(tier));
            int effective = Dnnl.dnnl_get_effective_cpu_isa();
            if (tierOf(effective) != tier) {
                throw fixedElsewhere(tier, effective);
            }
            if (status != Dnnl.dnnl_success() && status != Dnnl.dnnl_invalid_arguments()) {
                check(status, "dnnl_set_max_cpu_isa");
            }
            fixedTo = tier;
        } else if (fixedTo != tier) {
            throw new IllegalStateException("oneDNN was first used for tier " + fixedTo
                    + " in this process and keeps it, so a"
                    + " device of tier " + tier + " has no matrix products; use one tier per process (system property "
                    + CpuTier.PROPERTY + ")");
        }
    }

    private static IllegalStateException fixedElsewhere(CpuTier tier, int isa) {
        return new IllegalStateException("oneDNN keeps the instruction set 0x" + Integer.toHexString(isa) + " (tier "
                + tierOf(isa) + ") in this process, to which another class loader's Muonium, other code or the variable"
                + " ONEDNN_MAX_CPU_ISA fixed it, so a device of tier " + tier + " has no matrix products; use tier "
                + tierOf(isa) + " (system property " + CpuTier.PROPERTY + ")");
    }

    /** The numbers of oneDNN's instruction sets contain the bits of those that they include. */
    static CpuTier tierOf(int isa) {
        if ((isa & Dnnl.dnnl_cpu_isa_avx512_core()) == Dnnl.dnnl_cpu_isa_avx512_core()) {
            return CpuTier.AVX512;
        }
        return (isa & Dnnl.dnnl_cpu_isa_avx2()) == Dnnl.dnnl_cpu_isa_avx2() ? CpuTier.AVX2 : CpuTier.SCALAR;
    }

    private static int isa(CpuTier tier) {
        return switch (tier) {
            case SCALAR -> Dnnl.dnnl_cpu_isa_sse41(); // the lowest that oneDNN knows
            case AVX2 -> Dnnl.dnnl_cpu_isa_avx2();
            case AVX512 -> Dnnl.dnnl_cpu_isa_avx512_core_bf16();
        };
    }

    /** The product of a specification, made when it is first asked for. */
    OneDnnMatmul matmul(MatmulSpec spec) {
        requireOpen();
        OneDnnMatmul known = products.get(spec);
        if (known != null) {
            return known;
        }
        synchronized (this) {
            requireOpen();
            return products.computeIfAbsent(spec, wanted -> OneDnnMatmul.create(this, wanted));
        }
    }

    CpuTier tier() {
        return tier;
    }

    MemorySegment engine() {
        return engine;
    }

    OneDnnLane lane(int worker) {
        return lanes[worker];
    }

    int workers() {
        return lanes.length;
    }

    void requireOpen() {
        if (closed) {
            throw new IllegalStateException("a matrix product was used after its device was closed");
        }
    }

    @Override
    public synchronized void close() {
        closed = true;
        for (OneDnnLane lane : lanes) {
            lane.close(); // waits for its run
        }
        if (arena.scope().isAlive()) {
            arena.close(); // in the reverse order of creation: products, streams, engine
        }
    }

    /** A function that puts a new handle into {@code out}. */
    @FunctionalInterface
    interface Creation {
        int into(MemorySegment out);
    }

    /** A handle that lives until this is closed. */
    MemorySegment create(String function, Consumer<MemorySegment> destroy, Creation creation) {
        return create(arena, function, destroy, creation);
    }

    /** A handle that lives until {@code owner} closes. */
    static MemorySegment create(Arena owner, String function, Consumer<MemorySegment> destroy, Creation creation) {
        return handle(function, creation).reinterpret(owner, destroy);
    }

    /** A handle that the caller destroys. */
    private static MemorySegment handle(String function, Creation creation) {
        try (Arena temporary = Arena.ofConfined()) {
            MemorySegment out = temporary.allocate(ValueLayout.ADDRESS);
            check(creation.into(out), function);
            return out.get(ValueLayout.ADDRESS, 0);
        }
    }

    /** Memory of a few bytes (argument lists) that lives until this is closed. */
    MemorySegment allocate(long bytes) {
        return arena.allocate(bytes, Long.BYTES);
    }

    static int code(ElementType type) {
        return switch (type) {
            case F32 -> Dnnl.dnnl_f32();
            case BF16 -> Dnnl.dnnl_bf16();
            default -> throw new IllegalArgumentException("a matrix product takes F32 or BF16, not " + type);
        };
    }

    static void check(int status, String function) {
        if (status != Dnnl.dnnl_success()) {
            throw new NativeException(function, status, text(status));
        }
    }

    private static String text(int status) {
        if (status == Dnnl.dnnl_out_of_memory()) {
            return "out of memory";
        }
        if (status == Dnnl.dnnl_invalid_arguments()) {
            return "invalid arguments";
        }
        if (status == Dnnl.dnnl_unimplemented()) {
            return "not implemented for this processor";
        }
        if (status == Dnnl.dnnl_runtime_error()) {
            return "runtime error";
        }
        return "oneDNN gives no text; set the variable ONEDNN_VERBOSE=all to see more";
    }

    private static void destroyEngine(MemorySegment handle) {
        check(Dnnl.dnnl_engine_destroy(handle), "dnnl_engine_destroy");
    }
}
