package dev.muonium.pytorch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StepReport;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Module;

/** The library's optimizer over copies of a module's weights, which it knows by what a test says of them. */
final class PlainOptimizer implements AutoCloseable {
    private final Map<String, MemorySegment> weights = new LinkedHashMap<>();
    private final Map<String, MemorySegment> gradients = new LinkedHashMap<>();
    private final Optimizer optimizer;

    PlainOptimizer(
            Device device,
            Arena arena,
            Module model,
            Consumer<Optimizer.Builder> settings,
            Function<String, ParameterKind> kinds,
            UnaryOperator<Parameter> splits) {
        Optimizer.Builder builder = Optimizer.builder(device);
        settings.accept(builder);
        optimizer = builder.build();
        Torch.parameters(model).forEach((name, tensor) -> {
            MemorySegment copy = arena.allocate(tensor.nbytes(), 64).copyFrom(Torch.memory(tensor));
            MemorySegment gradient = arena.allocate(tensor.nbytes(), 64);
            weights.put(name, copy);
            gradients.put(name, gradient);
            ElementType type = tensor.itemsize() == 2 ? ElementType.BF16 : ElementType.F32;
            long[] extents = new long[Math.toIntExact(tensor.dim())];
            for (int axis = 0; axis < extents.length; axis++) {
                extents[axis] = tensor.size(axis);
            }
            optimizer.add(
                    splits.apply(Parameter.of(name, kinds.apply(name), Shape.of(extents), copy, type, gradient, type)));
        });
    }

    Optimizer optimizer() {
        return optimizer;
    }

    private void copyGradients(Module model) {
        Torch.parameters(model).forEach((name, tensor) -> gradients.get(name).copyFrom(Torch.memory(tensor.grad())));
    }

    /** Takes a step with the module's gradients, and so does the module's optimizer: both report the same and have the same weights, to the bit. */
    void assertSameStep(Module model, ModuleOptimizer other) {
        copyGradients(model);
        StepReport report = other.step();

        assertEquals(optimizer.step(), report);
        Torch.weights(model)
                .forEach((name, bytes) ->
                        assertArrayEquals(weights(name), bytes, name + " after step " + report.step()));
    }

    private byte[] weights(String name) {
        return weights.get(name).toArray(ValueLayout.JAVA_BYTE);
    }

    @Override
    public void close() {
        optimizer.close();
    }
}
