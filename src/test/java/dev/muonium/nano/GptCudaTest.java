package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.MuoniumException;
import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;
import dev.muonium.memory.CountingAllocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.nano.GptConfig.Mlp;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The GPT on a GPU, or on an emulated one. */
@CudaTest
final class GptCudaTest extends GptContract {
    private static final Precision ALL_BF16 = new Precision(ElementType.BF16, ElementType.BF16, false);

    @Override
    Device open() {
        return Device.cuda();
    }

    @Test
    void takesBf16WithFp32GradientsAndMasterWeightsUnlessItIsToldOtherwise() {
        assertEquals(Precision.MIXED, PrecisionChoice.AUTO.on(device));
        try (Gpt gpt = new Gpt(device, shape(), 1, 1)) {
            assertEquals(ElementType.BF16, gpt.parameters().getFirst().weights().type());
            assertEquals(ElementType.F32, gpt.parameters().getFirst().gradient().type());
        }
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void bf16IsNearFp32(GptConfig config) {
        try (ModelRun fp32 = onDevice(config, Precision.FP32);
                ModelRun bf16 = onDevice(config, Precision.MIXED)) {
            double expected = fp32.lossAndGradients(1);
            assertEquals(expected, bf16.lossAndGradients(1), 0.01 * expected);
            assertNear(fp32, bf16);
        }
    }

    /** Gradients in bf16, two micro-batches of them added up. */
    @ParameterizedTest
    @MethodSource("shapes")
    void bf16GradientsAreNearFp32(GptConfig config) {
        try (ModelRun fp32 = onDevice(config, Precision.FP32);
                ModelRun bf16 = onDevice(config, ALL_BF16)) {
            fp32.lossAndGradients(1);
            bf16.lossAndGradients(0.5);
            bf16.lossAndGradients(0.5);
            assertNear(fp32, bf16);
        }
    }

    private static void assertNear(ModelRun expected, ModelRun actual) {
        List<float[]> a = expected.gradients();
        List<float[]> b = actual.gradients();
        for (int p = 0; p < a.size(); p++) {
            String name = expected.gpt.parameters().get(p).name();
            Difference difference = Difference.of(a.get(p), b.get(p));
            assertTrue(difference.cosine() > 0.99 && difference.norm() < 0.1, () -> name + ": " + difference);
        }
    }

    @Test
    void bf16LogitsAreNearFp32() {
        try (ModelRun fp32 = onDevice(shape(), Precision.FP32);
                ModelRun bf16 = onDevice(shape(), Precision.MIXED)) {
            int[] text = {3, 1, 4, 1, 5, 9, 2, 6};
            Difference difference = Difference.of(fp32.gpt.nextTokenLogits(text), bf16.gpt.nextTokenLogits(text));
            assertTrue(difference.norm() < 0.05, difference::toString);
        }
    }

    @Test
    void everyByteIsInTheLedger() {
        GptConfig config = shape();
        try (Gpt gpt = new Gpt(device, config, 2, ALL_BF16, 1)) {
            CountingAllocator counting = new CountingAllocator(256);
            GptTensors.allocate(new OwnedTensors(counting), config, 2, gpt.options(), Grain.WHOLE, false);
            for (Purpose purpose : new Purpose[] {Purpose.WEIGHTS, Purpose.GRADIENTS, Purpose.ACTIVATIONS}) {
                assertEquals(counting.ledger().bytes(purpose), device.ledger().bytes(purpose), purpose::name);
            }
        }
    }

    @Test
    void aModelThatDoesNotFitSaysWhatItAskedFor() {
        GptConfig huge = new GptConfig(1 << 24, 1, 1 << 17, 1, 1, 64, Mlp.RELU2, 64, 2, false, 15, 1e4, 1e-6);
        String message = assertThrows(MuoniumException.class, () -> new Gpt(device, huge, 1, 1))
                .getMessage();
        assertTrue(message.contains("'embedding'") && message.contains("4398046511104"), message);
    }
}
