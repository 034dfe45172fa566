package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import java.util.Map;
import org.junit.jupiter.api.Test;

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

    @Test
    void stateInMemoryOfTheHostGivesTheSameBits() {
        Map<String, float[]> onDevice = afterFourSteps(StatePlacement.device(), 0);
        Map<String, float[]> onHost = afterFourSteps(StatePlacement.host(), 1);
        onDevice.forEach((name, values) -> assertArrayEquals(values, onHost.get(name), name));
    }

    private Map<String, float[]> afterFourSteps(StatePlacement placement, int offloaded) {
        try (Device device = openDevice();
                Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer = Optimizer.builder(device)
                        .group(Muon.defaults().state(StateFormat.INT8))
                        .group(AdamW.defaults().state(StateFormat.INT8))
                        .statePlacement(placement)
                        .build()) {
            optimizer.addAll(model.parameters());
            assertEquals(offloaded == 1, device.ledger().bytes(Purpose.OFFLOADED_STATE) > 0);
            assertEquals(offloaded == 0, device.ledger().bytes(Purpose.OPTIMIZER_STATE) > 0);
            for (int step = 0; step < 4; step++) {
                model.newGradients();
                optimizer.step();
            }
            optimizer.restore("mlp", optimizer.state("mlp"));
            optimizer.step();
            return model.snapshot();
        }
    }
}
