package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** On a CPU. */
class StepStatisticsTest extends StepStatisticsContract {
    @TempDir
    private Path folder;

    @Override
    Device openDevice() {
        return Device.cpu(2);
    }

    @Test
    void stateInAFileHasTheSame() {
        assertEquals(statistics(StatePlacement.device()), statistics(StatePlacement.file(folder)));
    }

    private StepStatistics statistics(StatePlacement placement) {
        try (Device device = openDevice();
                Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer = Optimizer.builder(device)
                        .group(Muon.defaults().state(StateFormat.INT8))
                        .group(AdamW.defaults().state(StateFormat.INT8))
                        .statePlacement(placement)
                        .build()) {
            optimizer.addAll(model.parameters());
            model.newGradients();
            optimizer.step();
            return optimizer.stepWithStatistics();
        }
    }
}
