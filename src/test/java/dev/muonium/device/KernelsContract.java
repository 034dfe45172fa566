package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.NativeException;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What stands between Java and the kernels: bounds, sentences, no garbage. What the kernels compute is tested elsewhere. */
abstract class KernelsContract {
    private static final ElementType F32 = ElementType.F32;
    private static final ElementType BF16 = ElementType.BF16;
    private static final BlockFormat LINEAR = BlockFormat.INT8_LINEAR;
    private static final BlockFormat UNSIGNED = BlockFormat.INT8_DYNAMIC_UNSIGNED;

    private final List<Tensor> tensors = new ArrayList<>();
    private final Map<MemorySegment, Long> sizes = new HashMap<>();

    Device device;
    Kernels kernels;
    MemorySegment x;
    MemorySegment y;
    MemorySegment out;
    MemorySegment codes;
    MemorySegment scales;
    MemorySegment vCodes;
    MemorySegment vScales;

    abstract Device open();

    @BeforeEach
    final void openDevice() {
        device = open();
        kernels = device.kernels();
        x = floats(130);
        y = floats(130);
        out = floats(130);
        codes = elements(ElementType.U8, 130);
        scales = floats(3);
        vCodes = elements(ElementType.U8, 130);
        vScales = floats(3);
    }

    @AfterEach
    final void closeDevice() {
        tensors.forEach(Tensor::close);
        device.synchronize(); // what a kernel did wrong would show here
        long scratch = device.ledger().bytes(Purpose.WORKSPACE);
        assertEquals(scratch, device.ledger().total());
        device.close();
        assertEquals(0, device.ledger().total());
    }

    final MemorySegment floats(int count) {
        return elements(F32, count);
    }

    private MemorySegment elements(ElementType type, int count) {
        Tensor tensor = device.allocate(Purpose.DATA, "array", type, Shape.of(count));
        tensors.add(tensor);
        sizes.put(tensor.segment(), tensor.byteSize());
        return tensor.segment();
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
        MemorySegment bf16 = elements(BF16, 130);
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

    @Test
    void networkKernelsStayWithinTheirSegments() {
        NetworkKernels network = device.networkKernels();
        MemorySegment rows = floats(10);
        MemorySegment tokens = elements(ElementType.I32, 10);
        MemorySegment losses = elements(ElementType.F64, 10);
        MemorySegment table = floats(13);
        MemorySegment pairs = floats(120);
        MemorySegment positions = floats(20);
        MemorySegment dots = floats(60);
        read("x", x, s -> network.rmsNorm(F32, s, y, rows, 1e-6f, 13, 0, 10));
        written("y", y, s -> network.rmsNorm(F32, x, s, rows, 1e-6f, 13, 0, 10));
        written("rstd", rows, s -> network.rmsNorm(F32, x, y, s, 1e-6f, 13, 0, 10));
        read("dy", y, s -> network.rmsNormBackward(F32, s, x, rows, null, out, 13, 0, 10));
        read("x", x, s -> network.rmsNormBackward(F32, y, s, rows, null, out, 13, 0, 10));
        read("rstd", rows, s -> network.rmsNormBackward(F32, y, x, s, null, out, 13, 0, 10));
        read("add", x, s -> network.rmsNormBackward(F32, y, x, rows, s, out, 13, 0, 10));
        written("dx", out, s -> network.rmsNormBackward(F32, y, x, rows, null, s, 13, 0, 10));
        written("x", pairs, s -> network.rotaryNorm(F32, s, dots, positions, 1e-6f, 6, 2, 10, 0, 10));
        written("rstd", dots, s -> network.rotaryNorm(F32, pairs, s, positions, 1e-6f, 6, 2, 10, 0, 10));
        read("table", positions, s -> network.rotaryNorm(F32, pairs, dots, s, 1e-6f, 6, 2, 10, 0, 10));
        read("y", pairs, s -> network.rotaryNormBackward(F32, s, dots, positions, floats(120), 6, 2, 10, 0, 10));
        read("rstd", dots, s -> network.rotaryNormBackward(F32, pairs, s, positions, floats(120), 6, 2, 10, 0, 10));
        read("table", positions, s -> network.rotaryNormBackward(F32, pairs, dots, s, floats(120), 6, 2, 10, 0, 10));
        written("dy", pairs, s -> network.rotaryNormBackward(F32, floats(120), dots, positions, s, 6, 2, 10, 0, 10));
        written("scores", x, s -> network.softmaxCausal(s, 13, 1, rows, 0, 3, 13, 0, 10));
        written("lse", rows, s -> network.softmaxCausal(x, 13, 1, s, 2, 3, 13, 0, 8));
        written("scores", x, s -> network.softmaxCausalBackward(s, y, 13, 1, rows, rows, 0, 3, 13, 0, 10));
        written("d", y, s -> network.softmaxCausalBackward(x, s, 13, 1, rows, rows, 0, 3, 13, 0, 10));
        read("lse", rows, s -> network.softmaxCausalBackward(x, y, 13, 1, s, rows, 2, 3, 13, 0, 8));
        read("delta", rows, s -> network.softmaxCausalBackward(x, y, 13, 1, rows, s, 2, 3, 13, 0, 8));
        read("x", pairs, s -> network.headDots(F32, s, pairs, dots, 6, 2, 5, 0, 10));
        read("y", pairs, s -> network.headDots(F32, pairs, s, dots, 6, 2, 5, 0, 10));
        written("out", dots, s -> network.headDots(F32, pairs, pairs, s, 6, 2, 5, 0, 9));
        attentionStaysWithinItsSegments(network);
        read("u", x, s -> network.relu2(F32, s, out, 0, 130));
        written("a", out, s -> network.relu2(F32, x, s, 0, 130));
        written("u", x, s -> network.relu2Backward(F32, s, out, 0, 130));
        written("a", out, s -> network.relu2Backward(F32, x, s, 0, 130));
        read("gate", x, s -> network.swiglu(F32, s, y, out, 0, 130));
        read("up", y, s -> network.swiglu(F32, x, s, out, 0, 130));
        written("a", out, s -> network.swiglu(F32, x, y, s, 0, 130));
        written("gate", x, s -> network.swigluBackward(F32, s, y, out, 0, 130));
        written("up", y, s -> network.swigluBackward(F32, x, s, out, 0, 130));
        written("a", out, s -> network.swigluBackward(F32, x, y, s, 0, 130));
        written("logits", x, s -> network.crossEntropy(F32, s, 15, tokens, losses, 0, 13, 0, 10));
        read("targets", tokens, s -> network.crossEntropy(F32, x, 15, s, losses, 2, 13, 0, 8));
        written("losses", losses, s -> network.crossEntropy(F32, x, 15, tokens, s, 2, 13, 0, 8));
        written("logits", x, s -> network.crossEntropyBackward(F32, s, 15, tokens, losses, 0, 1, 13, 0, 10));
        read("targets", tokens, s -> network.crossEntropyBackward(F32, x, 15, s, losses, 2, 1, 13, 0, 8));
        written("losses", losses, s -> network.crossEntropyBackward(F32, x, 15, tokens, s, 2, 1, 13, 0, 8));
        read("table", table, s -> network.gatherRows(F32, s, tokens, out, 1, 13, 0, 10));
        read("tokens", tokens, s -> network.gatherRows(F32, table, s, out, 1, 13, 0, 10));
        written("out", out, s -> network.gatherRows(F32, table, tokens, s, 1, 13, 0, 10));
        read("rows", x, s -> network.scatterAddRows(F32, s, tokens, 10, table, F32, 13, 0, 1));
        read("tokens", tokens, s -> network.scatterAddRows(F32, x, s, 10, table, F32, 13, 0, 1));
        written("table", table, s -> network.scatterAddRows(F32, x, tokens, 10, s, F32, 13, 0, 1));
    }

    private void attentionStaysWithinItsSegments(NetworkKernels network) {
        MemorySegment q = floats(96);
        MemorySegment k = floats(48);
        MemorySegment v = floats(48);
        MemorySegment o = floats(96);
        MemorySegment l = floats(12);
        read("q", q, s -> network.attention(F32, s, k, v, o, l, 1, 2, 1, 8, 3, 0, 2));
        read("k", k, s -> network.attention(F32, q, s, v, o, l, 1, 2, 1, 8, 3, 0, 2));
        read("v", v, s -> network.attention(F32, q, k, s, o, l, 1, 2, 1, 8, 3, 0, 2));
        written("o", o, s -> network.attention(F32, q, k, v, s, l, 1, 2, 1, 8, 3, 0, 2));
        written("lse", l, s -> network.attention(F32, q, k, v, o, s, 1, 2, 1, 8, 3, 0, 2));
        MemorySegment dq = floats(96);
        MemorySegment dk = floats(48);
        MemorySegment dv = floats(48);
        read("q", q, s -> network.attentionBackward(F32, s, k, v, l, o, l, dq, dk, dv, 1, 2, 1, 8, 3, 0, 2));
        read("k", k, s -> network.attentionBackward(F32, q, s, v, l, o, l, dq, dk, dv, 1, 2, 1, 8, 3, 0, 2));
        read("v", v, s -> network.attentionBackward(F32, q, k, s, l, o, l, dq, dk, dv, 1, 2, 1, 8, 3, 0, 2));
        read("lse", l, s -> network.attentionBackward(F32, q, k, v, s, o, floats(12), dq, dk, dv, 1, 2, 1, 8, 3, 0, 2));
        read("gradient", o, s -> network.attentionBackward(F32, q, k, v, l, s, l, dq, dk, dv, 1, 2, 1, 8, 3, 0, 2));
        read(
                "delta",
                l,
                s -> network.attentionBackward(F32, q, k, v, floats(12), o, s, dq, dk, dv, 1, 2, 1, 8, 3, 0, 2));
        written("dq", dq, s -> network.attentionBackward(F32, q, k, v, l, o, l, s, dk, dv, 1, 2, 1, 8, 3, 0, 2));
        written("dk", dk, s -> network.attentionBackward(F32, q, k, v, l, o, l, dq, s, dv, 1, 2, 1, 8, 3, 0, 2));
        written("dv", dv, s -> network.attentionBackward(F32, q, k, v, l, o, l, dq, dk, s, 1, 2, 1, 8, 3, 0, 2));
    }

    /** Products and sums that wrap around would pass for small ones, and the kernel would write far beyond the segment. */
    @Test
    void networkKernelsRefuseExtentsThatNoSegmentHas() {
        NetworkKernels network = device.networkKernels();
        MemorySegment tokens = elements(ElementType.I32, 10);
        MemorySegment losses = elements(ElementType.F64, 10);
        long huge = 1L << 62;
        String many = Long.MAX_VALUE + " elements of F32 need more than a 64-bit count can hold";
        says("'x' has 520 bytes; " + many, () -> network.rmsNorm(F32, x, y, out, 1e-6f, huge, 0, 4));
        says("'x' has 520 bytes; " + many, () -> network.rotaryNorm(F32, x, y, out, 1e-6f, huge, 4, 1, 0, 1));
        says("'table' has 520 bytes; " + many, () -> network.rotaryNorm(F32, x, y, out, 1e-6f, 1, 4, huge, 0, 1));
        says("'out' has 520 bytes; " + many, () -> network.headDots(F32, x, y, out, 4, 1, huge, 0, 1));
        says("'lse' has 520 bytes; " + many, () -> network.softmaxCausal(x, 1, 1, y, Long.MAX_VALUE, 0, 1, 0, 1));
        says(
                "first is " + Long.MAX_VALUE + ", and the rows end at 1",
                () -> network.softmaxCausal(x, 1, 1, y, 0, Long.MAX_VALUE, 1, 0, 1));
        says(
                "'targets' has 40 bytes; " + Long.MAX_VALUE + " elements of I32",
                () -> network.crossEntropy(F32, x, 15, tokens, losses, Long.MAX_VALUE, 1, 0, 1));
        says("'table' has 520 bytes; " + many, () -> network.gatherRows(F32, x, tokens, out, 4, huge, 0, 0));
        says("heads is 0; it must be 1 or more", () -> network.headDots(F32, x, y, out, 0, 1, 1, 0, 1));
        says("headDim is -1; it must be 1 or more", () -> network.rotaryNorm(F32, x, y, out, 1e-6f, 1, -1, 1, 0, 1));
        says("positions is 0; it must be 1 or more", () -> network.headDots(F32, x, y, out, 1, 1, 0, 0, 1));
        says("a row of 'table' has -1 elements", () -> network.gatherRows(F32, x, tokens, out, 1, -1, 0, 1));
        says("the range 2 to 1 of 'x'", () -> network.rmsNorm(F32, x, y, out, 1e-6f, 1, 2, 1));
        says("the range -1 to 1 of 'x'", () -> network.headDots(F32, x, y, out, 1, 1, 1, -1, 1));
    }

    static void says(String beginning, Executable call) {
        IllegalArgumentException refusal = assertThrows(IllegalArgumentException.class, call, beginning);
        assertTrue(refusal.getMessage().startsWith(beginning), refusal.getMessage());
    }

    final void momentum(MemorySegment gradient, MemorySegment momentum, MemorySegment scale, MemorySegment update) {
        double _ = kernels.muonMomentum(LINEAR, 64, gradient, F32, 1, momentum, scale, update, F32, 0.9, true, 0, 130);
    }

    final void adamW(
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

    /** The whole segment is accepted; eight bytes less, or one on the heap, is refused with its name. */
    private void read(String name, MemorySegment whole, Consumer<MemorySegment> call) {
        call.accept(whole);
        long less = Objects.requireNonNull(sizes.get(whole)) - Long.BYTES;
        refused("'" + name + "' has " + less + " bytes", device.memory().slice(whole, Long.BYTES, less), call);
        refused("'" + name + "' lies on the Java heap", MemorySegment.ofArray(new long[100]), call);
    }

    /** As above, and a read-only one is refused. */
    private void written(String name, MemorySegment whole, Consumer<MemorySegment> call) {
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
        IllegalArgumentException fp8 = assertThrows(
                IllegalArgumentException.class,
                () -> kernels.muonMomentum(
                        BlockFormat.FP8_E4M3, 64, x, F32, 1, codes, scales, out, F32, 0.9, true, 0, 130));
        assertEquals(
                "momentum cannot be kept as FP8_E4M3: its three bits of mantissa or fewer lose small updates; use"
                        + " INT8_LINEAR, a dynamic format or F32",
                fp8.getMessage());
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
        long before = device.ledger().total();
        AdamWParameters parameters = kernels.newAdamWParameters();
        assertEquals(before + 64, device.ledger().total());
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
}
