package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import dev.muonium.NativeException;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What stands between Java and the kernels: bounds, sentences, no garbage. What the kernels compute is tested elsewhere. */
final class KernelsTest {
    private static final ElementType F32 = ElementType.F32;
    private static final BlockFormat LINEAR = BlockFormat.INT8_LINEAR;
    private static final BlockFormat UNSIGNED = BlockFormat.INT8_DYNAMIC_UNSIGNED;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment x = floats(130);
    private final MemorySegment y = floats(130);
    private final MemorySegment out = floats(130);
    private final MemorySegment codes = arena.allocate(130);
    private final MemorySegment scales = floats(3);
    private final MemorySegment vCodes = arena.allocate(130);
    private final MemorySegment vScales = floats(3);

    private CpuDevice device;
    private Kernels kernels;

    @BeforeEach
    void open() {
        device = Device.cpu(1);
        kernels = device.kernels();
    }

    @AfterEach
    void close() {
        assertEquals(0, device.ledger().total());
        device.close();
        arena.close();
    }

    private MemorySegment floats(int count) {
        return arena.allocate(ValueLayout.JAVA_FLOAT, count);
    }

    @Test
    void quantizeAndDequantizeStayWithinTheirSegments() {
        read("x", x, s -> kernels.quantize(LINEAR, 64, s, F32, codes, scales, 0, 130));
        written("codes", codes, s -> kernels.quantize(LINEAR, 64, x, F32, s, scales, 0, 130));
        written("scales", scales, s -> kernels.quantize(LINEAR, 64, x, F32, codes, s, 0, 130));
        read("codes", codes, s -> kernels.dequantize(LINEAR, 64, s, scales, out, F32, 0, 130));
        read("scales", scales, s -> kernels.dequantize(LINEAR, 64, codes, s, out, F32, 0, 130));
        written("out", out, s -> kernels.dequantize(LINEAR, 64, codes, scales, s, F32, 0, 130));
    }

    @Test
    void passesStayWithinTheirSegments() {
        read("x", x, s -> kernels.sumSquares(s, F32, 0, 130));
        read("x", x, s -> kernels.scale(2, s, F32, 13, out, F32, 13, 13, 0, 10));
        written("out", out, s -> kernels.scale(2, x, F32, 13, s, F32, 13, 13, 0, 10));
        read("x", x, s -> kernels.axpby(2, s, F32, 13, 3, y, F32, 13, out, F32, 13, 13, 0, 10));
        read("y", y, s -> kernels.axpby(2, x, F32, 13, 3, s, F32, 13, out, F32, 13, 13, 0, 10));
        written("out", out, s -> kernels.axpby(2, x, F32, 13, 3, y, F32, 13, s, F32, 13, 13, 0, 10));
        written("x", floats(121), s -> kernels.mirrorUpper(s, F32, 11, 0, 11));
    }

    @Test
    void optimizersStayWithinTheirSegments() {
        read("gradient", x, s -> momentum(s, codes, scales, out));
        written("momentum", codes, s -> momentum(x, s, scales, out));
        written("scales", scales, s -> momentum(x, codes, s, out));
        written("update", out, s -> momentum(x, codes, scales, s));
        written("weights", out, s -> kernels.muonUpdate(s, F32, 13, null, x, F32, 13, 1, 1, null, 13, 0, 10));
        read("o", x, s -> kernels.muonUpdate(out, F32, 13, null, s, F32, 13, 1, 1, null, 13, 0, 10));
        MemorySegment bf16 = arena.allocate(ValueLayout.JAVA_SHORT, 130);
        written(
                "master",
                out,
                s -> kernels.muonUpdate(bf16, ElementType.BF16, 13, s, x, F32, 13, 1, 1, null, 13, 0, 10));
        try (AdamWParameters parameters = kernels.newAdamWParameters()) {
            parameters.set(0.1, 0.9, 0.999, 1e-8, 0, 1, 1);
            written("weights", out, s -> adamW(parameters, s, x, codes, scales, vCodes, vScales));
            read("gradient", x, s -> adamW(parameters, out, s, codes, scales, vCodes, vScales));
            written("m", codes, s -> adamW(parameters, out, x, s, scales, vCodes, vScales));
            written("mScales", scales, s -> adamW(parameters, out, x, codes, s, vCodes, vScales));
            written("v", vCodes, s -> adamW(parameters, out, x, codes, scales, s, vScales));
            written("vScales", vScales, s -> adamW(parameters, out, x, codes, scales, vCodes, s));
        }
    }

    private void momentum(MemorySegment gradient, MemorySegment momentum, MemorySegment scale, MemorySegment update) {
        double _ = kernels.muonMomentum(LINEAR, 64, gradient, F32, 1, momentum, scale, update, F32, 0.9, true, 0, 130);
    }

    private void adamW(
            AdamWParameters parameters,
            MemorySegment weights,
            MemorySegment gradient,
            MemorySegment m,
            MemorySegment mScales,
            MemorySegment v,
            MemorySegment vScale) {
        kernels.adamW(
                parameters,
                64,
                weights,
                F32,
                null,
                gradient,
                F32,
                LINEAR,
                m,
                mScales,
                UNSIGNED,
                v,
                vScale,
                null,
                0,
                130);
    }

    /** The whole segment is accepted; one byte less, or one on the heap, is refused with its name. */
    private static void read(String name, MemorySegment whole, Consumer<MemorySegment> call) {
        call.accept(whole);
        refused(
                "'" + name + "' has " + (whole.byteSize() - 1) + " bytes",
                whole.asSlice(0, whole.byteSize() - 1),
                call);
        refused("'" + name + "' lies on the Java heap", MemorySegment.ofArray(new long[100]), call);
    }

    /** As above, and a read-only one is refused. */
    private static void written(String name, MemorySegment whole, Consumer<MemorySegment> call) {
        read(name, whole, call);
        refused("'" + name + "' is read-only", whole.asReadOnly(), call);
    }

    private static void refused(String sentence, MemorySegment segment, Consumer<MemorySegment> call) {
        IllegalArgumentException refusal =
                assertThrows(IllegalArgumentException.class, () -> call.accept(segment), sentence);
        assertTrue(refusal.getMessage().startsWith(sentence), refusal.getMessage());
    }

    @Test
    void saysWhatIsMissingOrUnknown() {
        assertEquals(
                "'scales' is null, but INT8_LINEAR has one scale per block",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> kernels.quantize(LINEAR, 64, x, F32, codes, null, 0, 130))
                        .getMessage());
        assertThrows(IllegalArgumentException.class, () -> kernels.quantize(LINEAR, 65, x, F32, codes, scales, 0, 130));
        assertEquals(
                "a kernel takes F32 or BF16, not I32",
                assertThrows(IllegalArgumentException.class, () -> kernels.sumSquares(x, ElementType.I32, 0, 130))
                        .getMessage());
        assertThrows(
                IllegalArgumentException.class,
                () -> kernels.scale(1, x, F32, Long.MAX_VALUE, out, F32, 1, 1, 0, Long.MAX_VALUE));
    }

    @Test
    void whatTheLibraryRefusesNamesTheFunctionAndTheReason() {
        NativeException refusal =
                assertThrows(NativeException.class, () -> kernels.quantize(LINEAR, 64, x, F32, codes, scales, 3, 130));

        assertEquals("mu_quantize", refusal.function());
        assertTrue(refusal.getMessage().contains("begin is 3, not a multiple of block 64"), refusal.getMessage());
        assertThrows(NativeException.class, () -> kernels.sumSquares(x, F32, 5, 2));
        assertThrows(NativeException.class, () -> kernels.sumSquares(x, F32, -5, 2));
    }

    @Test
    void closedParametersAreNotUsed() {
        AdamWParameters parameters = kernels.newAdamWParameters();
        assertEquals(64, device.ledger().total());
        assertThrows(IllegalArgumentException.class, () -> parameters.set(0.1, 0.9, 0.999, 1e-8, 0, 0, 1));
        parameters.close();
        assertThrows(IllegalStateException.class, () -> adamW(parameters, out, x, codes, scales, vCodes, vScales));
        Rounding rounding = kernels.newRounding();
        rounding.close();
        assertThrows(IllegalStateException.class, () -> rounding.set(1, 2, 3));
        assertThrows(
                IllegalStateException.class,
                () -> kernels.muonUpdate(out, ElementType.BF16, 13, null, x, F32, 13, 1, 1, rounding, 13, 0, 1));
    }

    @Test
    void callsMakeNoGarbage() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        try (AdamWParameters parameters = kernels.newAdamWParameters()) {
            parameters.set(0.1, 0.9, 0.999, 1e-8, 0, 1, 1);
            long least = Long.MAX_VALUE;
            for (int round = 0; round < 60 && least > 0; round++) {
                long before = threads.getCurrentThreadAllocatedBytes();
                for (int i = 0; i < 1_000; i++) {
                    momentum(x, codes, scales, out);
                    adamW(parameters, out, x, codes, scales, vCodes, vScales);
                    double _ = kernels.sumSquares(x, F32, 0, 130);
                    kernels.muonUpdate(out, F32, 13, null, x, F32, 13, 1, 1, null, 13, 0, 10);
                }
                least = Math.min(least, (threads.getCurrentThreadAllocatedBytes() - before) / 1_000);
            }
            assertEquals(0, least, "bytes of garbage per round of four calls");
        }
    }
}
