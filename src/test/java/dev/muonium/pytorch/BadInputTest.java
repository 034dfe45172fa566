package dev.muonium.pytorch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.CpuDevice;
import dev.muonium.device.Device;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.StateFormat;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.EmbeddingImpl;
import org.bytedeco.pytorch.EmbeddingOptions;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** One clear sentence for what cannot be trained, and nothing is changed; and what PyTorch leaves out of a step is left out. */
@PyTorchTest
final class BadInputTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "Half   | parameter 'up.weight' is float16, whose narrow range needs loss scaling and which Muonium"
                        + " does not train in; use bfloat16 (module.to(torch.ScalarType.BFloat16)) or float32",
                "Double | parameter 'up.weight' is of the type float64; Muonium trains float32 and bfloat16: convert"
                        + " it, or set requires_grad to false",
            })
    void otherTypesAreRefused(String type, String sentence) {
        ByteModel model = new ByteModel();
        model.up().to(torch.ScalarType.valueOf(type), false);

        assertEquals(sentence, refusal(model));
    }

    @Test
    void integersAreRefusedWhenTheirGradientArrives() {
        ByteModel model = new ByteModel();
        try (ModuleOptimizer optimizer = optimizer(model)) {
            model.backward(0);
            Torch.parameter(model, "up.bias")
                    .mutable_grad()
                    .put(torch.ones(new long[] {48}).to(torch.ScalarType.Int));

            assertUnchanged(
                    model,
                    optimizer,
                    IllegalArgumentException.class,
                    "the gradient of parameter 'up.bias' is of the type int32; Muonium trains float32 and bfloat16:"
                            + " convert it, or set requires_grad to false");
        }
    }

    @Test
    void parametersThatAreNotContiguousAreRefused() {
        ByteModel model = new ByteModel();
        Tensor transposed = torch.zeros(48, 48).t();
        Torch.parameter(model, "up.weight").set_data(transposed);

        assertEquals(
                "parameter 'up.weight' is not contiguous, so it cannot be updated in place; replace it by its"
                        + " contiguous() copy before the optimizer is built",
                refusal(model));
    }

    @Test
    void gradientsThatAreNotContiguousAreCopiedWithOneLineInTheLog() {
        ByteModel model = new ByteModel();
        ByteModel expected = new ByteModel();
        List<String> lines = new ArrayList<>();
        try (LogLines log = new LogLines(ModuleParameter.class);
                ModuleOptimizer optimizer = optimizer(model);
                ModuleOptimizer contiguous = optimizer(expected)) {
            for (int step = 0; step < 3; step++) {
                contiguous.zeroGrad();
                expected.backward(step);
                optimizer.zeroGrad();
                model.backward(step);
                makeDiscontiguous(model);
                optimizer.step();
                contiguous.step();
            }
            lines.addAll(log.lines());
        }

        assertEquals(
                List.of("the gradient of parameter 'up.weight' is not contiguous: it is copied in every step in which"
                        + " that is so"),
                lines);
        Map<String, byte[]> weights = Torch.weights(expected);
        Torch.weights(model).forEach((name, bytes) -> assertArrayEquals(weights.get(name), bytes, name));
    }

    @Test
    void sparseGradientsAreRefused() {
        EmbeddingOptions options = new EmbeddingOptions(20, 4);
        options.sparse().put(true);
        EmbeddingImpl embedding = new EmbeddingImpl(options);
        try (ModuleOptimizer optimizer =
                ModuleOptimizer.builder(embedding).group(AdamW.defaults()).build()) {
            embedding.forward(Tensor.create(new long[] {1, 3}, 2)).sum().backward();

            assertUnchanged(
                    embedding,
                    optimizer,
                    IllegalArgumentException.class,
                    "the gradient of parameter 'weight' is not dense (its layout is Sparse), and Muonium steps dense"
                            + " gradients only; build its embedding with sparse(false)");
        }
    }

    @Test
    void aParameterWithoutAGradientIsLeftOut() {
        ByteModel model = new ByteModel();
        try (ModuleOptimizer optimizer = optimizer(model)) {
            model.backward(0);
            optimizer.step();
            optimizer.zeroGrad();
            model.backward(1);
            Torch.parameter(model, "up.weight").mutable_grad().reset();
            Map<String, byte[]> before = Torch.weights(model);
            optimizer.step();
            Map<String, byte[]> after = Torch.weights(model);

            assertArrayEquals(before.get("up.weight"), after.get("up.weight"));
            assertFalse(Arrays.equals(before.get("down.weight"), after.get("down.weight")));
            assertEquals(1, optimizer.state("up.weight").step());
            assertEquals(2, optimizer.state("down.weight").step());
            optimizer.zeroGrad(false);
            optimizer.step();
            assertFalse(
                    Arrays.equals(after.get("down.weight"), Torch.weights(model).get("down.weight")),
                    "a gradient of zeros is stepped");
        }
    }

    @Test
    void withoutAnyGradientThereIsNothingToStep() {
        ByteModel model = new ByteModel();
        try (ModuleOptimizer optimizer = optimizer(model)) {
            assertUnchanged(
                    model,
                    optimizer,
                    IllegalStateException.class,
                    "none of the 7 trained parameters has a gradient; call backward() on a loss between zeroGrad() and"
                            + " step()");
        }
    }

    @Test
    void frozenParametersHaveNoStateBeforeTheyAreTrained() {
        ByteModel model = new ByteModel();
        Tensor frozen = Torch.parameter(model, "up.weight");
        frozen.requires_grad_(false);
        frozen.set_data(frozen.to(torch.ScalarType.Half)); // what is not trained may be of any type
        frozen.set_data(torch.zeros(48, 48));
        try (ModuleOptimizer optimizer = optimizer(model);
                LogLines log = new LogLines(ModuleOptimizer.class)) {
            assertTrue(optimizer.describe().contains("frozen, without state: up.weight\n"), optimizer.describe());
            long state = optimizer.stateBytes();
            model.backward(0);
            optimizer.step();
            assertArrayEquals(new byte[48 * 48 * 4], Torch.bytes(frozen));

            frozen.requires_grad_(true);
            optimizer.zeroGrad();
            model.backward(1);
            optimizer.step();
            assertEquals(state + 48 * 48 * 4, optimizer.stateBytes());
            assertFalse(Arrays.equals(new byte[48 * 48 * 4], Torch.bytes(frozen)));
            assertEquals(
                    List.of("parameter 'up.weight' is trained from now on; its state begins with zeros"), log.lines());

            byte[] trained = Torch.bytes(frozen);
            frozen.requires_grad_(false);
            optimizer.step();
            assertArrayEquals(trained, Torch.bytes(frozen));
            assertEquals(1, optimizer.state("up.weight").step());
        }
    }

    @Test
    void aModuleThatIsAllFrozenIsRefused() {
        ByteModel model = new ByteModel();
        Torch.parameters(model).values().forEach(tensor -> tensor.requires_grad_(false));

        assertEquals(
                "the module's 7 parameters are all frozen (requires_grad is false); there is nothing to train",
                refusal(model));
        assertEquals("the module has no parameters", refusal(new Module("empty")));
    }

    @Test
    void aModuleThatWasClosedIsRefused() {
        ByteModel model = new ByteModel();
        model.close();

        assertEquals(
                "the module was closed; build its optimizer before",
                assertThrows(IllegalArgumentException.class, () -> ModuleOptimizer.builder(model))
                        .getMessage());
    }

    @Test
    void theWeightsStayWhenTheModuleIsClosedOrAScopeEnds() {
        ModuleOptimizer optimizer;
        Tensor weights;
        try (PointerScope _ = new PointerScope()) {
            EmbeddingImpl embedding = new EmbeddingImpl(20, 4);
            optimizer =
                    ModuleOptimizer.builder(embedding).group(AdamW.defaults()).build();
            weights = new Tensor(embedding.weight());
            weights.retainReference();
            embedding.forward(Tensor.create(new long[] {1, 3}, 2)).sum().backward();
        }
        byte[] before = Torch.bytes(weights);
        optimizer.step();
        assertFalse(Arrays.equals(before, Torch.bytes(weights)));
        optimizer.close();
        weights.close();
    }

    @Test
    void weightsThatPyTorchFreedOrMovedAreNotTouched() {
        ByteModel model = new ByteModel();
        Tensor weights = Torch.parameter(model, "up.weight");
        try (ModuleOptimizer optimizer = optimizer(model)) {
            model.backward(0);
            String from = Long.toHexString(weights.data_ptr().address());
            Tensor other = torch.zeros(48, 48);
            weights.set_data(other);
            String to = Long.toHexString(other.data_ptr().address());
            assertUnchanged(
                    model,
                    optimizer,
                    IllegalStateException.class,
                    "the weights of parameter 'up.weight' moved from 0x" + from + " to 0x" + to
                            + " since the optimizer was built; build it after module.to(...) and the like, and load"
                            + " its state");

            weights.set_data(torch.empty(0));
            assertEquals(
                    "the memory of parameter 'up.weight' was freed by PyTorch; build the optimizer anew over a module"
                            + " that has its weights",
                    assertThrows(IllegalStateException.class, optimizer::step).getMessage());
        }
    }

    @Test
    void oneThreadAtATimeSteps() throws InterruptedException {
        ByteModel model = new ByteModel();
        CountDownLatch inside = new CountDownLatch(1);
        CountDownLatch tried = new CountDownLatch(1);
        AtomicReference<Throwable> failure = new AtomicReference<>();
        // The first step is held where it logs that it copies a gradient.
        try (LogLines log = new LogLines(ModuleParameter.class, _ -> {
                    inside.countDown();
                    await(tried);
                });
                ModuleOptimizer optimizer = optimizer(model)) {
            model.backward(0);
            makeDiscontiguous(model);
            Thread first = Thread.ofPlatform().start(() -> {
                try {
                    optimizer.step();
                } catch (RuntimeException | Error e) {
                    failure.set(e);
                }
            });
            await(inside);
            String message =
                    assertThrows(IllegalStateException.class, optimizer::step).getMessage();
            assertThrows(IllegalStateException.class, optimizer::zeroGrad);
            tried.countDown();
            first.join();

            assertEquals(
                    "the optimizer is in use by another thread; one thread at a time may step or change it", message);
            assertNull(failure.get());
            assertEquals(1, optimizer.steps());
            assertEquals(1, log.lines().size());
        }
    }

    private static void makeDiscontiguous(ByteModel model) {
        try (PointerScope _ = new PointerScope()) {
            Tensor elsewhere = model.up().weight().grad().t().contiguous().t();
            assertFalse(elsewhere.is_contiguous());
            model.up().weight().mutable_grad().put(elsewhere);
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void parametersOnAnotherDeviceAreRefused() {
        TensorOptions nowhere = new TensorOptions().device(new DeviceOptional(new org.bytedeco.pytorch.Device("meta")));
        Module module = new Module("on two devices");
        module.register_parameter("here", torch.zeros(4, 4));
        module.register_parameter("there", torch.zeros(new long[] {4, 4}, nowhere));

        String message = refusal(module);

        assertTrue(message.startsWith("parameter 'there' lies on meta, and the optimizer works on cpu ("), message);
        Module elsewhere = new Module("nowhere");
        elsewhere.register_parameter("there", torch.zeros(new long[] {4, 4}, nowhere));
        assertEquals(
                "parameter 'there' lies on meta, and Muonium works on the CPU and on NVIDIA GPUs (cuda)",
                refusal(elsewhere));
    }

    @Test
    void useAfterCloseIsRefused() {
        ByteModel model = new ByteModel();
        ModuleOptimizer optimizer = optimizer(model);
        Device device = optimizer.device();
        model.backward(0);
        optimizer.step();
        optimizer.close();
        optimizer.close();

        assertEquals(
                "the optimizer was used after it was closed",
                assertThrows(IllegalStateException.class, optimizer::step).getMessage());
        assertThrows(IllegalStateException.class, optimizer::zeroGrad);
        assertThrows(IllegalStateException.class, optimizer::describe);
        assertEquals(0, device.ledger().total());
    }

    @Test
    void aRefusedBuildLeaksNothing() {
        ByteModel model = new ByteModel();
        Torch.parameter(model, "head.bias").set_data(torch.zeros(40).to(torch.ScalarType.Double));
        try (CpuDevice device = Device.cpu(1)) {
            long before = device.ledger().total();
            assertThrows(
                    IllegalArgumentException.class,
                    () -> ModuleOptimizer.builder(model)
                            .head(ByteModel.HEAD)
                            .group(Muon.defaults().state(StateFormat.INT8))
                            .group(AdamW.defaults())
                            .device(device)
                            .build());
            assertEquals(before, device.ledger().total());
        }
    }

    private static ModuleOptimizer optimizer(Module model) {
        return ModuleOptimizer.builder(model)
                .head(ByteModel.HEAD)
                .group(Muon.defaults())
                .group(AdamW.defaults())
                .build();
    }

    private static String refusal(Module model) {
        ModuleOptimizer.Builder builder = ModuleOptimizer.builder(model)
                .withoutHead()
                .group(Muon.defaults())
                .group(AdamW.defaults());
        return assertThrows(IllegalArgumentException.class, builder::build).getMessage();
    }

    private static void assertUnchanged(
            Module model, ModuleOptimizer optimizer, Class<? extends Exception> kind, String sentence) {
        Map<String, byte[]> before = Torch.weights(model);
        assertEquals(sentence, assertThrows(kind, optimizer::step).getMessage());
        Torch.weights(model).forEach((name, bytes) -> assertArrayEquals(before.get(name), bytes, name));
        assertEquals(0, optimizer.steps());
    }
}
