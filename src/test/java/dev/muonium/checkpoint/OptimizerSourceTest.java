package dev.muonium.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StateFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OptimizerSourceTest {
    @TempDir
    private Path folder;

    /** Before anything is restored, because a parameter that was restored already could not be brought back. */
    @ParameterizedTest
    @CsvSource({"INT8, w.exp_avg.scales, NaN", "INT8, w.exp_avg_sq.scales, Infinity", "FP32, w.exp_avg, -Infinity"})
    void aStateThatIsNotFiniteIsRefused(StateFormat format, String name, float bad) {
        try (Device device = Device.cpu(1);
                Tensor weights = device.allocate(Purpose.WEIGHTS, "w", ElementType.F32, Shape.of(300));
                Tensor gradient = device.allocate(Purpose.GRADIENTS, "w", ElementType.F32, Shape.of(300));
                Optimizer optimizer = Optimizer.builder(device)
                        .group(AdamW.defaults().state(format))
                        .build()) {
            optimizer.add(Parameter.of(ParameterKind.VECTOR, weights, gradient));
            gradient.setFloat(5, 1);
            optimizer.step();
            OptimizerSource source = new OptimizerSource(optimizer);
            Path file = folder.resolve("optimizer.safetensors");
            List<StoredTensor> tensors = source.tensors().stream()
                    .map(tensor -> tensor.name().equals(name) ? spoilt(tensor.inPlace(), bad) : tensor.inPlace())
                    .toList();
            SafetensorsWriter.write(file, source.metadata(), tensors);
            try (Safetensors opened = Safetensors.open(file)) {
                assertEquals(
                        "the tensor '" + name + "' of '" + file + "' holds " + bad + " at 2; it must be finite",
                        assertThrows(CheckpointException.class, () -> source.check(opened))
                                .getMessage());
            }
        }
    }

    private static StoredTensor spoilt(StoredTensor tensor, float value) {
        MemorySegment copy =
                Arena.ofAuto().allocate(tensor.data().byteSize(), 8).copyFrom(tensor.data());
        copy.setAtIndex(ValueLayout.JAVA_FLOAT, 2, value);
        return new StoredTensor(tensor.name(), tensor.type(), tensor.shape(), copy);
    }
}
