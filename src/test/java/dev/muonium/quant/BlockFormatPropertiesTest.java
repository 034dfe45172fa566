package dev.muonium.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.CpuDevice;
import dev.muonium.device.CpuTier;
import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import java.util.Arrays;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/** What the 8-bit formats promise of any values, on every tier that this processor can run. */
final class BlockFormatPropertiesTest {
    private static final int BLOCK = 64;

    private static CpuDevice[] devices = {};

    @BeforeContainer
    static void open() {
        CpuTier best;
        try (CpuDevice device = Device.cpu(1)) {
            best = device.report().bestTier();
        }
        devices = Arrays.stream(CpuTier.values())
                .filter(tier -> tier.compareTo(best) <= 0)
                .map(tier -> CpuDevice.builder().threads(1).tier(tier).open())
                .toArray(CpuDevice[]::new);
    }

    @AfterContainer
    static void close() {
        for (CpuDevice device : devices) {
            assertEquals(0, device.ledger().total());
            device.close();
        }
    }

    /** An 8-bit format. */
    enum Format {
        LINEAR(BlockFormat.INT8_LINEAR),
        SIGNED(BlockFormat.INT8_DYNAMIC_SIGNED),
        UNSIGNED(BlockFormat.INT8_DYNAMIC_UNSIGNED);

        final BlockFormat format;

        Format(BlockFormat format) {
            this.format = format;
        }
    }

    private static float[] values(long seed, Format format, int n, int exponents) {
        Random random = new Random(seed);
        float[] x = new float[n];
        for (int i = 0; i < n; i++) {
            x[i] = Math.scalb(random.nextFloat(-1, 1), -random.nextInt(exponents));
            x[i] = format == Format.UNSIGNED ? Math.abs(x[i]) : x[i];
        }
        return x;
    }

    @Property(tries = 200)
    void theErrorIsAtMostHalfAStep(
            @ForAll long seed,
            @ForAll Format format,
            @ForAll @IntRange(min = 1, max = 300) int n,
            @ForAll @IntRange(min = 1, max = 30) int exponents) {
        float[] x = values(seed, format, n, exponents);
        for (CpuDevice device : devices) {
            try (QuantizedTensor quantized = QuantizedTensorContract.quantize(device, format.format, BLOCK, x)) {
                double halfStep = QuantizedTensorContract.plain(device, format.format, BLOCK)
                        .halfStep();
                float[] scales = QuantizedTensorContract.scales(device, quantized);
                float[] back = quantized.toFloatArray();
                for (int i = 0; i < n; i++) {
                    double scale = scales[i / BLOCK];
                    // Beyond half a step: two roundings to FP32, of the quotient and of the product.
                    double bound =
                            halfStep * scale + 2 * Math.ulp(Math.abs(x[i])) + Math.ulp((float) (127 * scale)) / 2;
                    assertTrue(Math.abs((double) back[i] - x[i]) <= bound, device.tier() + " element " + i);
                }
            }
        }
    }

    @Property(tries = 100)
    void anOutlierStaysInItsBlock(
            @ForAll long seed, @ForAll Format format, @ForAll @IntRange(min = 0, max = 255) int position) {
        float[] x = values(seed, format, 256, 4);
        float[] spiked = x.clone();
        spiked[position] = 1e6f;
        for (CpuDevice device : devices) {
            try (QuantizedTensor plain = QuantizedTensorContract.quantize(device, format.format, BLOCK, x);
                    QuantizedTensor outlier = QuantizedTensorContract.quantize(device, format.format, BLOCK, spiked)) {
                float[] expected = plain.toFloatArray();
                float[] actual = outlier.toFloatArray();
                for (int i = 0; i < 256; i++) {
                    if (i / BLOCK != position / BLOCK) {
                        assertEquals(expected[i], actual[i], device.tier() + " element " + i);
                    }
                }
                assertNotEquals(
                        QuantizedTensorContract.scales(device, plain)[position / BLOCK],
                        QuantizedTensorContract.scales(device, outlier)[position / BLOCK]);
            }
        }
    }

    /** The scale is a power of two, so that code times scale is exact. */
    @Property(tries = 100)
    void valuesOnTheGridSurviveExactly(
            @ForAll long seed, @ForAll Format format, @ForAll @IntRange(min = -20, max = 20) int exponent) {
        Random random = new Random(seed);
        for (CpuDevice device : devices) {
            float[] x = new float[2 * BLOCK];
            for (int i = 0; i < x.length; i++) {
                float entry = format == Format.LINEAR
                        ? random.nextInt(255) - 127
                        : DynamicMap.of(device, format.format).value(random.nextInt(DynamicMap.SIZE));
                x[i] = Math.scalb(entry, exponent);
            }
            float largest = Math.scalb(format == Format.LINEAR ? 127f : 1f, exponent);
            x[0] = largest;
            x[BLOCK] = largest;
            try (QuantizedTensor quantized = QuantizedTensorContract.quantize(device, format.format, BLOCK, x)) {
                assertArrayEquals(x, quantized.toFloatArray());
            }
        }
    }

    /** With a positive absmax: the signed map has no -1, so that a block whose absmax is negative shrinks. */
    @Property(tries = 100)
    void quantizingWhatWasDecodedChangesNothing(@ForAll long seed, @ForAll Format format) {
        float[] x = values(seed, format, 150, 12);
        for (int begin = 0; begin < x.length; begin += BLOCK) {
            x[begin] = 1;
        }
        for (CpuDevice device : devices) {
            try (QuantizedTensor first = QuantizedTensorContract.quantize(device, format.format, BLOCK, x);
                    QuantizedTensor second =
                            QuantizedTensorContract.quantize(device, format.format, BLOCK, first.toFloatArray())) {
                assertArrayEquals(
                        QuantizedTensorContract.codes(device, first), QuantizedTensorContract.codes(device, second));
            }
        }
    }

    @Property(tries = 100)
    void minus128NeverOccurs(@ForAll long seed, @ForAll @IntRange(min = 1, max = 149) int exponents) {
        float[] x = values(seed, Format.LINEAR, 200, exponents);
        for (CpuDevice device : devices) {
            try (QuantizedTensor quantized =
                    QuantizedTensorContract.quantize(device, BlockFormat.INT8_LINEAR, BLOCK, x)) {
                for (byte code : QuantizedTensorContract.codes(device, quantized)) {
                    assertNotEquals(Byte.MIN_VALUE, code);
                }
            }
        }
    }

    /** From blocks of zeros over subnormal numbers to the largest: nothing becomes NaN or infinite. */
    @Property(tries = 100)
    void finiteStaysFinite(
            @ForAll long seed, @ForAll Format format, @ForAll @IntRange(min = -160, max = 127) int exponent) {
        float[] x = values(seed, format, 130, 3);
        for (int i = 0; i < x.length; i++) {
            x[i] = i < BLOCK ? 0 : Math.scalb(x[i], exponent);
        }
        for (CpuDevice device : devices) {
            try (QuantizedTensor quantized = QuantizedTensorContract.quantize(device, format.format, BLOCK, x)) {
                float[] back = quantized.toFloatArray();
                for (int i = 0; i < x.length; i++) {
                    assertTrue(
                            Float.isFinite(back[i]), device.tier() + " element " + i + ": " + x[i] + " -> " + back[i]);
                    assertTrue(i >= BLOCK || back[i] == 0);
                }
            }
        }
    }
}
