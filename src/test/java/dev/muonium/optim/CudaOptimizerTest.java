package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;
import java.util.Map;

/** The optimizer on a GPU. */
@CudaTest
class CudaOptimizerTest extends OptimizerContract {
    @Override
    protected Device openDevice() {
        return Device.cuda();
    }

    @Override
    protected long alignment() {
        return 256;
    }

    /** cuBLAS may choose another kernel for another number of products, which adds up in another order. */
    @Override
    protected void assertSameForOtherBatches(Map<String, float[]> expected, Map<String, float[]> actual) {
        expected.forEach((name, values) -> {
            double difference = 0;
            double norm = 0;
            for (int i = 0; i < values.length; i++) {
                difference += Math.pow(values[i] - actual.get(name)[i], 2);
                norm += Math.pow(values[i], 2);
            }
            double error = Math.sqrt(difference / norm);
            assertTrue(error < 1e-3, () -> name + " differs by " + error);
        });
    }
}
