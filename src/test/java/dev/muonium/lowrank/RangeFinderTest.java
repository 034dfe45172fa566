package dev.muonium.lowrank;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** On a CPU, by tasks. */
@Tag("tier")
class RangeFinderTest extends RangeFinderContract {
    @Override
    protected Device openDevice() {
        return Device.cpu(2);
    }

    /** In FP32, and in BF16 by bands. */
    @ParameterizedTest
    @CsvSource({"F32, 300, 700, 290", "F32, 700, 300, 20", "BF16, 700, 600, 9"})
    void bitsDoNotDependOnTheNumberOfThreads(ElementType type, int rows, int cols, int rank) {
        Random random = new Random(8);
        float[] g = new float[rows * cols];
        for (int i = 0; i < g.length; i++) {
            g[i] = (float) random.nextGaussian();
        }
        float[] first = basis(g, type, rows, cols, rank);
        for (int threads : new int[] {1, 3}) {
            device.close();
            device = Device.cpu(threads);
            assertArrayEquals(first, basis(g, type, rows, cols, rank));
        }
    }
}
