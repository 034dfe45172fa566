package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.ortho.NewtonSchulz;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Parameters of several matrices on a CPU in the way of a GPU, by launches over many arrays. */
@Tag("tier")
class BatchedSplitParametersTest extends SplitParametersContract {
    @Override
    protected Device openDevice() {
        return Device.cpu(2);
    }

    @Override
    protected Optimizer.Builder builder(Device on) {
        return Optimizer.builder(on).batched();
    }

    @ParameterizedTest
    @EnumSource
    void itComputesWhatTasksDo(StateFormat format) {
        Muon muon = Muon.defaults()
                .newtonSchulz(NewtonSchulz.defaults().precision(ElementType.F32))
                .state(format);
        try (Device device = openDevice();
                Model a = new Model(device, ElementType.F32);
                Model b = new Model(device, ElementType.F32);
                Optimizer tasks = Optimizer.builder(device).group(muon).build();
                Optimizer batches = builder(device).group(muon).build()) {
            for (Model model : new Model[] {a, b}) {
                splits().forEach(split -> model.with(split.name(), split.kind(), split.shape(), split.change()));
            }
            tasks.addAll(a.parameters());
            batches.addAll(b.parameters());
            Map<String, float[]> start = a.snapshot();
            for (int step = 0; step < 4; step++) {
                a.newGradients();
                b.newGradients();
                tasks.step();
                batches.step();
            }
            OptimizerContract.assertSameBytes(OptimizerContract.stateOf(tasks), OptimizerContract.stateOf(batches));
            Map<String, float[]> other = b.snapshot();
            a.snapshot().forEach((name, weights) -> {
                double error = distance(weights, other.get(name)) / distance(weights, start.get(name));
                assertTrue(error < 2e-5, () -> name + " is off by " + error + " of the distance moved");
            });
        }
    }

    private static double distance(float[] a, float[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
        }
        return Math.sqrt(sum);
    }
}
