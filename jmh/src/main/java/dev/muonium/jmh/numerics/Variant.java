package dev.muonium.jmh.numerics;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** A format that the momentum of all matrices is kept in. */
final class Variant implements AutoCloseable {
    final String name;
    final BlockFormat format;
    final double bytesPerParameter;
    private final int block;
    private final Device device;
    private final Map<String, StoredMomentum> momenta = new LinkedHashMap<>();
    private final List<Double> errors = new ArrayList<>();

    private Variant(Device device, String name, BlockFormat format, int block) {
        this.device = device;
        this.name = name;
        this.format = format;
        this.block = block;
        this.bytesPerParameter = format == BlockFormat.F32 ? 4 : 1 + 4.0 / block;
    }

    static List<Variant> all(Device device) {
        List<Variant> all = new ArrayList<>();
        all.add(new Variant(device, "FP32", BlockFormat.F32, BlockFormat.DEFAULT_BLOCK));
        for (int block = 64; block <= 2048; block *= 2) {
            all.add(new Variant(device, "INT8 linear/" + block, BlockFormat.INT8_LINEAR, block));
        }
        for (int block : new int[] {128, 256, 2048}) {
            all.add(new Variant(device, "INT8 dynamic/" + block, BlockFormat.INT8_DYNAMIC_SIGNED, block));
        }
        return all;
    }

    StoredMomentum of(String matrix, long elements) {
        return momenta.computeIfAbsent(matrix, _ -> new StoredMomentum(device, format, block, elements));
    }

    /** The error when values are rounded once. */
    float[] rounded(float[] values) {
        try (StoredMomentum once = new StoredMomentum(device, format, block, values.length)) {
            once.put(values);
            return once.values();
        }
    }

    void record(double error) {
        errors.add(error);
    }

    /** Of the stored momentum after each step. */
    List<Double> errors() {
        return errors;
    }

    String cells(double once, double accumulated, double update, double orthogonal) {
        return String.format(
                Locale.ROOT,
                "| %s | %.2f | %s | %s | %s | %s |",
                name,
                bytesPerParameter,
                MomentumStudy.percent(once),
                MomentumStudy.percent(accumulated),
                MomentumStudy.percent(update),
                MomentumStudy.percent(orthogonal));
    }

    @Override
    public void close() {
        momenta.values().forEach(StoredMomentum::close);
    }
}
