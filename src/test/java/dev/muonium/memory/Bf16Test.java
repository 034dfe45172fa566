package dev.muonium.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.FloatRange;
import org.junit.jupiter.api.Test;

final class Bf16Test {
    @Test
    void everyBf16SurvivesTheRoundTrip() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            float value = Bf16.toFloat((short) bits);
            short back = Bf16.fromFloat(value);
            if (Float.isNaN(value)) {
                assertTrue(Float.isNaN(Bf16.toFloat(back)));
            } else {
                assertEquals((short) bits, back);
            }
        }
    }

    @Property
    void roundsToTheNearest(@ForAll @FloatRange(min = -3e38f, max = 3e38f) float value) {
        double error = Math.abs((double) Bf16.toFloat(Bf16.fromFloat(value)) - value);
        int bits = Float.floatToRawIntBits(value) & 0xFFFF0000;
        float below = Float.intBitsToFloat(bits);
        float above = Float.intBitsToFloat(bits + 0x10000);
        assertTrue(error <= Math.abs((double) value - below) && error <= Math.abs((double) above - value));
    }

    @Test
    void tiesGoToEvenAndTheLargestOverflow() {
        assertEquals(0x3F80, Bf16.fromFloat(1 + 1f / 256));
        assertEquals(0x3F82, Bf16.fromFloat(1 + 3f / 256));
        assertEquals(Float.POSITIVE_INFINITY, Bf16.toFloat(Bf16.fromFloat(Float.MAX_VALUE)));
        assertTrue(Float.isNaN(Bf16.toFloat(Bf16.fromFloat(Float.intBitsToFloat(0x7F800001)))));
    }
}
