package dev.muonium.pytorch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.CpuDevice;
import dev.muonium.device.Device;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.Schedule;
import dev.muonium.optim.StateFormat;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A module's weights go the way that the library's optimizer sends the same memory, to the bit, and nothing is copied on the way. */
@PyTorchTest
final class TrajectoryTest {
    private static final int STEPS = 25;

    @ParameterizedTest
    @CsvSource({"FP32, false", "INT8, false", "FP32, true", "INT8, true"})
    void aModuleIsTrainedAsTheSameMemoryIsByTheOptimizer(StateFormat state, boolean bfloat16) {
        ByteModel model = bfloat16 ? new ByteModel().inBfloat16() : new ByteModel();
        Consumer<Optimizer.Builder> settings = builder -> builder.clipGlobalNorm(0.5)
                .schedule(Schedule.cosine(5, 10, STEPS, 0.1))
                .seed(3);
        Muon muon = Muon.defaults().learningRate(0.03).state(state);
        AdamW adamW = AdamW.defaults().learningRate(0.01).state(state);
        try (Arena arena = Arena.ofShared();
                CpuDevice device = Device.cpu(2);
                PlainOptimizer plain = new PlainOptimizer(
                        device,
                        arena,
                        model,
                        settings.andThen(builder -> builder.group(muon).group(adamW)),
                        TrajectoryTest::kind,
                        UnaryOperator.identity());
                ModuleOptimizer optimizer = ModuleOptimizer.builder(model)
                        .head(ByteModel.HEAD)
                        .group(muon)
                        .group(adamW)
                        .settings(settings)
                        .build()) {
            Map<String, byte[]> before = Torch.weights(model);
            for (int step = 0; step < STEPS; step++) {
                optimizer.zeroGrad();
                model.backward(step);
                plain.assertSameStep(model, optimizer);
            }
            assertTrue(optimizer.learningRate("up.weight") < 0.03, "the schedule has not begun to fall");
            Torch.weights(model).forEach((name, bytes) -> assertFalse(Arrays.equals(before.get(name), bytes), name));
        }
    }

    @Test
    void weightsAndGradientsAreReadWherePyTorchHasThem() {
        ByteModel model = new ByteModel();
        Set<Long> addresses = new HashSet<>();
        try (ModuleOptimizer optimizer = ModuleOptimizer.builder(model)
                .head(ByteModel.HEAD)
                .group(Muon.defaults())
                .group(AdamW.defaults())
                .build()) {
            for (int step = 0; step < 20; step++) {
                optimizer.zeroGrad();
                model.backward(step);
                optimizer.step();
                Map<String, Tensor> tensors = Torch.parameters(model);

                assertEquals(tensors.size(), optimizer.parameters().size());
                for (Parameter parameter : optimizer.parameters()) {
                    Tensor tensor = tensors.get(parameter.name());
                    assertEquals(
                            tensor.data_ptr().address(), parameter.weights().address());
                    assertEquals(
                            tensor.grad().data_ptr().address(),
                            parameter.gradient().address());
                    assertEquals(tensor.nbytes(), parameter.weights().byteSize());
                    addresses.add(parameter.gradient().address());
                }
            }
            assertTrue(
                    addresses.size() > optimizer.parameters().size(),
                    "no gradient ever moved, so that this shows nothing about finding it anew");
        }
    }

    @Test
    void gradientsOfSeveralBackwardsAddUpAndAreScaled() {
        ByteModel once = new ByteModel();
        ByteModel twice = new ByteModel();
        try (ModuleOptimizer ofOnce = optimizer(once);
                ModuleOptimizer ofTwice = optimizer(twice)) {
            once.backward(1);
            twice.backward(1);
            twice.backward(1);
            ofOnce.step();
            ofTwice.step(0.5);
        }
        Map<String, byte[]> expected = Torch.weights(once);
        Torch.weights(twice).forEach((name, bytes) -> assertArrayEquals(expected.get(name), bytes, name));
    }

    private static ModuleOptimizer optimizer(ByteModel model) {
        return ModuleOptimizer.builder(model)
                .head(ByteModel.HEAD)
                .group(Muon.defaults())
                .group(AdamW.defaults())
                .build();
    }

    private static ParameterKind kind(String name) {
        return switch (name) {
            case "embedding.weight" -> ParameterKind.EMBEDDING;
            case "head.weight" -> ParameterKind.HEAD;
            default -> name.endsWith(".weight") ? ParameterKind.MATRIX : ParameterKind.VECTOR;
        };
    }
}
