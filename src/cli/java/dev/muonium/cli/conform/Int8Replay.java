package dev.muonium.cli.conform;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Quantizes recorded inputs with INT8 linear, whose codes and scales must be those of the formula to the bit. */
record Int8Replay(Recording recording) implements Replay {
    static final String CODES = ".codes";
    private static final Pattern NAME = Pattern.compile("block(\\d{1,6})\\.codes");

    @Override
    public List<Check> run(Device device) {
        List<Check> checks = new ArrayList<>();
        for (String name : recording.names()) {
            if (name.endsWith(CODES)) {
                Matcher matcher = NAME.matcher(name);
                if (!matcher.matches()) {
                    throw recording.mistake(
                            "has codes called '" + name + "'; 'block128.codes' would say the block size");
                }
                quantize(device, Integer.parseInt(matcher.group(1)), checks);
            }
        }
        return checks;
    }

    private void quantize(Device device, int block, List<Check> checks) {
        try {
            BlockFormat.requireBlock(block);
        } catch (IllegalArgumentException e) {
            throw recording.mistake("is for a block format that does not exist: " + e.getMessage());
        }
        String prefix = "block" + block;
        int n = recording.length(prefix + ".input");
        float[] input = recording.floats(prefix + ".input", n);
        byte[] codes = recording.bytes(prefix + CODES, n);
        int blocks = (int) BlockFormat.INT8_LINEAR.scales(n, block);
        float[] scales = recording.floats(prefix + ".scales", blocks);
        try (Tensor x = device.allocate(Purpose.DATA, "input", ElementType.F32, Shape.of(n));
                Tensor ours = device.allocate(Purpose.DATA, "codes", ElementType.I8, Shape.of(n));
                Tensor ourScales = device.allocate(Purpose.DATA, "scales", ElementType.F32, Shape.of(blocks))) {
            x.copyFrom(input);
            device.kernels()
                    .quantize(
                            BlockFormat.INT8_LINEAR,
                            block,
                            x.segment(),
                            ElementType.F32,
                            ours.segment(),
                            ourScales.segment(),
                            0,
                            n);
            byte[] ourCodes = new byte[n];
            device.memory().copyOut(ours.segment(), 0, MemorySegment.ofArray(ourCodes), 0, n);
            int wrongCodes = 0;
            for (int i = 0; i < n; i++) {
                wrongCodes += ourCodes[i] == codes[i] ? 0 : 1;
            }
            float[] scaleValues = ourScales.toFloatArray();
            int wrongScales = 0;
            for (int i = 0; i < blocks; i++) {
                wrongScales += Float.floatToRawIntBits(scaleValues[i]) == Float.floatToRawIntBits(scales[i]) ? 0 : 1;
            }
            checks.add(new Check("int8 linear, block " + block, "codes that differ", wrongCodes, 0));
            checks.add(new Check("int8 linear, block " + block, "scales that differ", wrongScales, 0));
        }
    }
}
