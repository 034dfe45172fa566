package dev.muonium.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.Golden;
import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The contract of quantized tensors, held by every device. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class QuantizedTensorContract {
    private Device device;

    /** The device to test. */
    protected abstract Device openDevice();

    @BeforeAll
    void open() {
        device = openDevice();
    }

    @AfterAll
    void close() {
        device.close();
        assertEquals(0, device.ledger().total());
    }

    @ParameterizedTest
    @ValueSource(ints = {64, 128, 2048})
    void linearGivesTheRecordedCodesAndScales(int block) {
        try (Golden golden = Golden.open("int8_linear")) {
            float[] input = golden.floats("block" + block + ".input");
            try (QuantizedTensor quantized = quantize(BlockFormat.INT8_LINEAR, block, input)) {
                assertArrayEquals(
                        golden.file().tensor("block" + block + ".codes").toBytes(), codes(quantized));
                assertArrayEquals(golden.floats("block" + block + ".scales"), scales(quantized));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = BlockFormat.class,
            names = {"INT8_DYNAMIC_SIGNED", "INT8_DYNAMIC_UNSIGNED"})
    void theDynamicMapsAreTheRecordedOnes(BlockFormat format) throws IOException {
        DynamicMap map = DynamicMap.of(device, format);
        String kind = format == BlockFormat.INT8_DYNAMIC_SIGNED ? "signed" : "unsigned";
        try (InputStream in =
                Objects.requireNonNull(getClass().getResourceAsStream("/golden/dynamic_map_" + kind + ".txt"))) {
            float[] recorded = floats(new String(in.readAllBytes(), StandardCharsets.UTF_8));
            assertEquals(DynamicMap.SIZE, recorded.length);
            for (int code = 0; code < recorded.length; code++) {
                assertEquals(recorded[code], map.value(code), "code " + code);
                assertEquals(code, map.nearest(recorded[code]));
            }
        }
        assertEquals(255, map.nearest(7));
        assertEquals(0, map.nearest(-7));
        assertThrows(IllegalArgumentException.class, () -> map.value(256));
        assertThrows(IllegalArgumentException.class, () -> map.nearest(Float.NaN));
        assertEquals(format, map.format());
    }

    private static float[] floats(String text) {
        String[] words = text.strip().split("\\s+", -1);
        float[] values = new float[words.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = Float.parseFloat(words[i]);
        }
        return values;
    }

    @Test
    void onlyTheDynamicFormatsHaveAMap() {
        assertEquals(
                "INT8_LINEAR has no dynamic map; INT8_DYNAMIC_SIGNED and INT8_DYNAMIC_UNSIGNED have",
                assertThrows(IllegalArgumentException.class, () -> DynamicMap.of(device, BlockFormat.INT8_LINEAR))
                        .getMessage());
    }

    @ParameterizedTest
    @EnumSource(
            value = BlockFormat.class,
            names = {"INT8_LINEAR", "INT8_DYNAMIC_SIGNED", "INT8_DYNAMIC_UNSIGNED"})
    void agreesWithThePlainFormatBitForBit(BlockFormat format) {
        Random random = new Random(11);
        for (int block : new int[] {64, 128, 256, 512, 1024, 2048}) {
            for (int n : new int[] {1, block - 1, block, block + 1, 3 * block + 17}) {
                float[] x = awkward(random, n, format == BlockFormat.INT8_DYNAMIC_UNSIGNED);
                PlainFormat plain = plain(format, block);
                PlainFormat.Quantized expected = plain.quantize(x);
                try (QuantizedTensor quantized = quantize(format, block, x)) {
                    assertArrayEquals(expected.scales, scales(quantized), format + " block " + block + " n " + n);
                    assertArrayEquals(expected.codes, codes(quantized), format + " block " + block + " n " + n);
                    assertArrayEquals(plain.dequantize(expected), quantized.toFloatArray());
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = BlockFormat.class,
            names = {"FP8_E4M3", "FP8_E5M2"})
    void fp8IsTheNearestNumberOfItsDefinition(BlockFormat format) {
        boolean e4m3 = format == BlockFormat.FP8_E4M3;
        int mantissaBits = e4m3 ? 3 : 2;
        int bias = e4m3 ? 7 : 15;
        double[] numbers = new double[e4m3 ? 0x7f : 0x7c]; // ascending, without infinity and NaN
        for (int code = 0; code < numbers.length; code++) {
            int exponent = code >> mantissaBits;
            double fraction = (code & ((1 << mantissaBits) - 1)) / (double) (1 << mantissaBits);
            numbers[code] = exponent == 0 ? Math.scalb(fraction, 1 - bias) : Math.scalb(1 + fraction, exponent - bias);
        }
        double greatest = numbers[numbers.length - 1];
        assertEquals(e4m3 ? 448 : 57344, greatest);
        Random random = new Random(12);
        for (int block : new int[] {64, 128, 2048}) {
            float[] x = awkward(random, 3 * block + 17, false);
            try (QuantizedTensor quantized = quantize(format, block, x)) {
                float[] scales = scales(quantized);
                byte[] codes = codes(quantized);
                for (int i = 0; i < x.length; i++) {
                    float absmax = 0;
                    for (int j = i / block * block; j < Math.min(x.length, (i / block + 1) * block); j++) {
                        absmax = Math.max(absmax, Math.abs(x[j]));
                    }
                    float scale = absmax / (float) greatest;
                    assertEquals(scale, scales[i / block]);
                    double a = scale > 0 ? Math.abs(x[i] / scale) : 0;
                    int nearest = 0;
                    for (int code = 1; code < numbers.length; code++) {
                        double closer = Math.abs(numbers[nearest] - a) - Math.abs(numbers[code] - a);
                        if (closer > 0 || (closer == 0 && code % 2 == 0)) {
                            nearest = code;
                        }
                    }
                    boolean negative = scale > 0 && Float.floatToRawIntBits(x[i]) < 0;
                    assertEquals((byte) (negative ? nearest | 0x80 : nearest), codes[i], "x is " + x[i]);
                }
            }
        }
    }

    /** All magnitudes that a float has, zeros of both signs, and ties. */
    private static float[] awkward(Random random, int n, boolean unsigned) {
        float[] x = new float[n];
        for (int i = 0; i < n; i++) {
            x[i] = switch (random.nextInt(8)) {
                case 0 -> 0f;
                case 1 -> -0f;
                case 2 -> Float.intBitsToFloat(random.nextInt(0x800000)); // subnormal
                case 3 -> Math.scalb(random.nextFloat(-1, 1), random.nextInt(-120, 120));
                case 4 -> (random.nextInt(255) - 127) / 2f; // a tie where the scale is 1
                default -> random.nextFloat(-1, 1);
            };
            x[i] = unsigned ? Math.abs(x[i]) : x[i];
        }
        if (n > 64 && random.nextBoolean()) {
            Arrays.fill(x, 0, 64, 0f);
        }
        return x;
    }

    @ParameterizedTest
    @EnumSource(
            value = BlockFormat.class,
            names = {"INT8_LINEAR", "INT8_DYNAMIC_SIGNED", "INT8_DYNAMIC_UNSIGNED"})
    void aBlockThatIsNotFiniteDecodesToNaNAndItsNeighboursDoNot(BlockFormat format) {
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            float[] x = new float[200];
            Arrays.fill(x, 0.5f);
            x[70] = bad;
            try (QuantizedTensor quantized = quantize(format, 64, x)) {
                float[] back = quantized.toFloatArray();
                for (int i = 0; i < x.length; i++) {
                    assertEquals(i >= 64 && i < 128 ? Float.NaN : 0.5f, back[i], "element " + i + ", bad value " + bad);
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(BlockFormat.class)
    void holdsAsManyBytesAsItSays(BlockFormat format) {
        long elements = 1L << 20;
        try (QuantizedTensor quantized =
                QuantizedTensor.allocate(device, Purpose.OPTIMIZER_STATE, "m", format, 128, elements)) {
            assertEquals(format.bytes(elements, 128), quantized.byteSize());
            assertEquals(quantized.byteSize(), device.ledger().bytes(Purpose.OPTIMIZER_STATE));
            assertEquals(format.isScaled() ? 1.03125 : 4, (double) quantized.byteSize() / elements);
            if (device.memory().isHost()) {
                assertEquals(
                        elements * format.codeType().byteSize(),
                        quantized.codes().byteSize());
            }
        }
        assertEquals(0, device.ledger().bytes(Purpose.OPTIMIZER_STATE));
    }

    @ParameterizedTest
    @EnumSource(BlockFormat.class)
    void aNewOneHoldsZeros(BlockFormat format) {
        try (QuantizedTensor quantized = QuantizedTensor.allocate(device, Purpose.DATA, "m", format, 64, 130)) {
            for (float value : quantized.toFloatArray()) {
                assertTrue(value == 0, "either zero, but " + value);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(BlockFormat.class)
    void readsAndWritesBf16(BlockFormat format) {
        float[] values = new float[100];
        for (int i = 0; i < values.length; i++) {
            values[i] = i / 4f;
        }
        try (Tensor x = device.allocate(Purpose.DATA, "x", ElementType.BF16, Shape.of(100));
                Tensor back = device.allocate(Purpose.DATA, "back", ElementType.BF16, Shape.of(100));
                QuantizedTensor quantized = QuantizedTensor.allocate(device, Purpose.DATA, "m", format, 64, 100);
                QuantizedTensor fromF32 = quantize(format, 64, values)) {
            x.copyFrom(values); // exact: at most 7 bits each
            quantized.quantizeFrom(x);
            quantized.dequantizeTo(back);

            assertArrayEquals(fromF32.toFloatArray(), quantized.toFloatArray());
            x.copyFrom(fromF32.toFloatArray()); // rounds to nearest even
            assertArrayEquals(x.toFloatArray(), back.toFloatArray());
        }
    }

    @Test
    void refusesTensorsOfAnotherSizeAndLeavesTheStateAlone() {
        try (QuantizedTensor quantized = quantize(BlockFormat.INT8_LINEAR, 64, new float[] {1, 2, 3});
                Tensor x = device.allocate(Purpose.DATA, "x", ElementType.F32, Shape.of(4))) {
            IllegalArgumentException from =
                    assertThrows(IllegalArgumentException.class, () -> quantized.quantizeFrom(x));
            assertEquals("tensor 'x' has 4 elements, but 'm' has 3", from.getMessage());
            assertThrows(IllegalArgumentException.class, () -> quantized.dequantizeTo(x));
            assertEquals(3, quantized.toFloatArray()[2], 0.02);
        }
        assertThrows(
                IllegalArgumentException.class,
                () -> QuantizedTensor.allocate(device, Purpose.DATA, "m", BlockFormat.INT8_LINEAR, 100, 5));
        assertThrows(
                IllegalArgumentException.class,
                () -> QuantizedTensor.allocate(device, Purpose.DATA, "m", BlockFormat.INT8_LINEAR, 64, 0));
    }

    @Test
    void refusesUseAfterClose() {
        QuantizedTensor quantized = quantize(BlockFormat.INT8_LINEAR, 64, new float[] {1});
        quantized.close();
        quantized.close();
        assertThrows(IllegalStateException.class, quantized::codes);
        assertThrows(IllegalStateException.class, quantized::scales);
        assertThrows(IllegalStateException.class, quantized::toFloatArray);
    }

    private QuantizedTensor quantize(BlockFormat format, int block, float[] values) {
        return quantize(device, format, block, values);
    }

    static QuantizedTensor quantize(Device device, BlockFormat format, int block, float[] values) {
        QuantizedTensor quantized = QuantizedTensor.allocate(device, Purpose.DATA, "m", format, block, values.length);
        try (Tensor x = device.allocate(Purpose.DATA, "x", ElementType.F32, Shape.of(values.length))) {
            x.copyFrom(values);
            quantized.quantizeFrom(x);
        }
        return quantized;
    }

    private PlainFormat plain(BlockFormat format, int block) {
        return plain(device, format, block);
    }

    static PlainFormat plain(Device device, BlockFormat format, int block) {
        return new PlainFormat(
                format,
                block,
                format == BlockFormat.INT8_LINEAR
                        ? new float[0]
                        : device.kernels().dynamicMap(format));
    }

    private byte[] codes(QuantizedTensor quantized) {
        return codes(device, quantized);
    }

    private float[] scales(QuantizedTensor quantized) {
        return scales(device, quantized);
    }

    static byte[] codes(Device device, QuantizedTensor quantized) {
        byte[] codes = new byte[Math.toIntExact(quantized.elements())];
        device.memory().copyOut(quantized.codes(), 0, MemorySegment.ofArray(codes), 0, codes.length);
        return codes;
    }

    static float[] scales(Device device, QuantizedTensor quantized) {
        MemorySegment from = Objects.requireNonNull(quantized.scales());
        long count = quantized.format().scales(quantized.elements(), quantized.block());
        float[] scales = new float[Math.toIntExact(count)];
        device.memory().copyOut(from, 0, MemorySegment.ofArray(scales), 0, count * Float.BYTES);
        return scales;
    }
}
