package dev.muonium.quant;

import dev.muonium.memory.BlockFormat;

/** The block formats written down plainly, block by block and element by element: what the kernels are held against. */
final class PlainFormat {
    private final BlockFormat format;
    private final int block;
    private final float[] map;

    /** @param map the 256 values of a dynamic format; ignored by the linear one */
    PlainFormat(BlockFormat format, int block, float[] map) {
        this.format = format;
        this.block = block;
        this.map = map.clone();
    }

    /** Codes as they lie in memory, and scales. */
    static final class Quantized {
        final byte[] codes;
        final float[] scales;

        Quantized(byte[] codes, float[] scales) {
            this.codes = codes;
            this.scales = scales;
        }
    }

    Quantized quantize(float[] x) {
        byte[] codes = new byte[x.length];
        float[] scales = new float[(x.length + block - 1) / block];
        for (int k = 0; k < scales.length; k++) {
            int end = Math.min(x.length, (k + 1) * block);
            scales[k] = scale(x, k * block, end);
            for (int i = k * block; i < end; i++) {
                codes[i] = (byte) code(scales[k] > 0 ? x[i] : 0, scales[k] > 0 ? scales[k] : 1);
            }
        }
        return new Quantized(codes, scales);
    }

    private float scale(float[] x, int begin, int end) {
        float absmax = 0;
        for (int i = begin; i < end; i++) {
            if (!Float.isFinite(x[i])) {
                return Float.NaN;
            }
            absmax = Math.max(absmax, Math.abs(x[i]));
        }
        return format == BlockFormat.INT8_LINEAR ? absmax / 127 : absmax;
    }

    private int code(float x, float scale) {
        float a = x / scale;
        if (format == BlockFormat.INT8_LINEAR) {
            return (int) Math.clamp(Math.rint(a), -127, 127);
        }
        int nearest = 0;
        for (int code = 1; code < map.length; code++) {
            if (Math.abs((double) map[code] - a) < Math.abs((double) map[nearest] - a)) {
                nearest = code; // only if nearer: a tie stays with the lower
            }
        }
        return nearest;
    }

    float[] dequantize(Quantized quantized) {
        float[] x = new float[quantized.codes.length];
        for (int i = 0; i < x.length; i++) {
            float scale = quantized.scales[i / block];
            x[i] = format == BlockFormat.INT8_LINEAR
                    ? quantized.codes[i] * scale
                    : map[Byte.toUnsignedInt(quantized.codes[i])] * scale;
        }
        return x;
    }

    /** Half of the widest step of the format, for a block of scale 1: no value within the range is further from its code's. */
    double halfStep() {
        if (format == BlockFormat.INT8_LINEAR) {
            return 0.5;
        }
        double widest = map[0] - (format == BlockFormat.INT8_DYNAMIC_SIGNED ? -1 : 0); // -1 has no entry of its own
        for (int code = 1; code < map.length; code++) {
            widest = Math.max(widest, ((double) map[code] - map[code - 1]) / 2);
        }
        return widest;
    }
}
