package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

/** Which GPUs multiply in FP8, and the switch. */
final class Fp8SupportTest {
    private static GpuInfo gpu(int major, int minor) {
        return new GpuInfo(0, "a GPU", major, minor, 100, 0);
    }

    private static Fp8Support of(int major, int minor, String property) {
        return Fp8Support.of(gpu(major, minor), name -> name.equals(Fp8Support.PROPERTY) ? property : null);
    }

    @Test
    void dependsOnTheComputeCapability() {
        assertFalse(of(8, 0, null).available());
        assertFalse(of(8, 6, "auto").available());
        assertEquals(Fp8Scaling.TENSOR, of(8, 9, null).scaling());
        assertEquals(Fp8Scaling.BLOCKS, of(9, 0, "").scaling());
        assertEquals(Fp8Scaling.TENSOR, of(10, 0, null).scaling());
        assertEquals(Fp8Scaling.TENSOR, of(12, 0, null).scaling());
    }

    @Test
    void canBeSwitchedOff() {
        assertFalse(of(9, 0, "off").available());
        assertEquals(
                "BF16 products instead of FP8: muonium.fp8.products is off",
                of(9, 0, "off").sentence());
        assertEquals(
                "muonium.fp8.products is 'no'; it must be auto or off",
                assertThrows(IllegalArgumentException.class, () -> of(9, 0, "no"))
                        .getMessage());
    }
}
