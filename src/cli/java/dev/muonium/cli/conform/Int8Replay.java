package dev.muonium.cli.conform;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
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
        try (Arena arena = Arena.ofShared()) {
            MemorySegment x = arena.allocateFrom(ValueLayout.JAVA_FLOAT, input);
            MemorySegment ourCodes = arena.allocate(n, 64);
            MemorySegment ourScales = arena.allocate((long) blocks * Float.BYTES, 64);
            device.kernels().quantize(BlockFormat.INT8_LINEAR, block, x, ElementType.F32, ourCodes, ourScales, 0, n);
            int wrongCodes = 0;
            for (int i = 0; i < n; i++) {
                wrongCodes += ourCodes.get(ValueLayout.JAVA_BYTE, i) == codes[i] ? 0 : 1;
            }
            int wrongScales = 0;
            for (int i = 0; i < blocks; i++) {
                float ours = ourScales.getAtIndex(ValueLayout.JAVA_FLOAT, i);
                wrongScales += Float.floatToRawIntBits(ours) == Float.floatToRawIntBits(scales[i]) ? 0 : 1;
            }
            checks.add(new Check("int8 linear, block " + block, "codes that differ", wrongCodes, 0));
            checks.add(new Check("int8 linear, block " + block, "scales that differ", wrongScales, 0));
        }
    }
}
