package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.CpuDevice;
import dev.muonium.device.Device;
import dev.muonium.device.PoolWaiter;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What an optimizer promises beyond that on a CPU, whose workers and memory tests can reach. */
abstract class CpuOptimizerContract extends OptimizerContract {
    @Override
    protected Device openDevice() {
        return Device.cpu(2);
    }

    @ParameterizedTest
    @EnumSource(names = {"FP32", "INT8", "INT8_DYNAMIC"})
    void theBitsAreTheSameForAnyNumberOfThreads(StateFormat format) {
        Map<String, float[]> first = null;
        for (int threads = 1; threads <= 4; threads++) {
            try (CpuDevice other = Device.cpu(threads);
                    // One matrix dominates, so with more than one thread it is shared; the others have lanes.
                    Model model = Model.small(other, ElementType.F32)
                            .with("large", ParameterKind.MATRIX, Shape.of(300, 500));
                    Optimizer optimizer = builder(other)
                            .group(Muon.defaults().state(format))
                            .group(AdamW.defaults().state(format))
                            .clipGlobalNorm(1)
                            .build()) {
                optimizer.addAll(model.parameters());
                for (int step = 0; step < 3; step++) {
                    model.newGradients();
                    optimizer.step(0.5);
                }
                if (first == null) {
                    first = model.snapshot();
                } else {
                    assertSame(first, model.snapshot());
                }
            }
        }
    }

    @Test
    void segmentsThatCannotBeUsedGetASentence() {
        try (Arena arena = Arena.ofShared();
                Arena confined = Arena.ofConfined()) {
            MemorySegment good = arena.allocate(64 * 4, 4);
            assertSentence(
                    "'w (weights)' lies on the Java heap",
                    () -> Parameter.vector("w", MemorySegment.ofArray(new float[64]), good, 64));
            assertSentence("'w (weights)' is read-only", () -> Parameter.vector("w", good.asReadOnly(), good, 64));
            assertSentence("'w (gradient)' has 252 bytes; 64", () -> Parameter.vector("w", good, good.asSlice(4), 64));
            assertSentence("not a multiple of the 4 bytes", () -> Parameter.vector("w", good, good.asSlice(129), 8));
            assertSentence(
                    "'w (gradient)' lies in a confined arena",
                    () -> Parameter.vector("w", good, confined.allocate(64 * 4, 4), 64));
            assertSentence("extent 0", () -> Parameter.matrix("w", good, good, 0, 8));
            assertSentence(
                    "weight of parameter 'w' has the element type I8",
                    () -> Parameter.of(
                            "w", ParameterKind.VECTOR, Shape.of(8), good, ElementType.I8, good, ElementType.F32));
            MemorySegment gradient = arena.allocate(64 * 4, 4);
            Parameter parameter = Parameter.vector("w", good, gradient.asReadOnly(), 64);
            assertSentence("'w (gradient)' has 8 bytes", () -> parameter.gradient(good.asSlice(0, 8)));
            assertEquals(64 * 4, parameter.gradient().byteSize(), "the old gradient stays bound");
        }
    }

    @Test
    void memoryThatAStepWritesBelongsToOneParameter() {
        try (Arena arena = Arena.ofShared();
                Optimizer optimizer =
                        fp32().weightRounding(WeightRounding.NEAREST).build()) {
            MemorySegment memory = arena.allocate(100 * 4, 4);
            MemorySegment first = memory.asSlice(0, 40);
            MemorySegment second = memory.asSlice(40, 40);
            MemorySegment shared = memory.asSlice(80, 40);
            MemorySegment other = memory.asSlice(120, 40);
            String apart = " overlap in memory, and a step reads the one while it writes the other";
            assertSentence(
                    "the gradient of parameter 'a' and the weights of parameter 'a'" + apart,
                    () -> Parameter.vector("a", first, first, 10));
            assertSentence(
                    "the gradient of parameter 'a' and the weights of parameter 'a'" + apart,
                    () -> Parameter.vector("a", first, memory.asSlice(36, 40), 10));
            Parameter a = Parameter.vector("a", first, shared, 10);
            Parameter b = Parameter.vector("b", second, shared, 10);
            assertSentence("'a' and the weights of parameter 'a'", () -> a.gradient(first));
            assertSentence("'a' and the weights of parameter 'a'", () -> a.gradient(first, ElementType.BF16));
            optimizer.add(a);
            optimizer.add(b);
            assertTrue(optimizer.step().taken(), "a gradient may be shared, and neighbours do not overlap");

            assertSentence(
                    "the weights of parameters 'c' and 'b' overlap in memory; weights that are shared are one"
                            + " parameter",
                    () -> optimizer.add(Parameter.vector("c", memory.asSlice(76, 4), other, 1)));
            assertSentence(
                    "the gradient of parameter 'c' and the weights of parameter 'a'" + apart,
                    () -> optimizer.add(Parameter.vector("c", other, memory.asSlice(36, 4), 1)));
            assertSentence(
                    "the gradient of parameter 'a' and the weights of parameter 'c'" + apart,
                    () -> optimizer.add(Parameter.vector("c", memory.asSlice(116, 4), other, 1)));
            assertEquals(List.of(a, b), optimizer.parameters());

            // Bound later, a gradient is looked at in the step that would read it.
            byte[] before = memory.toArray(ValueLayout.JAVA_BYTE);
            a.gradient(memory.asSlice(76, 40));
            assertSentence("the gradient of parameter 'a' and the weights of parameter 'b'" + apart, optimizer::step);
            a.gradient(shared);
            b.gradient(first);
            assertSentence("the gradient of parameter 'b' and the weights of parameter 'a'" + apart, optimizer::step);
            assertArrayEquals(before, memory.toArray(ValueLayout.JAVA_BYTE));
            assertEquals(1, optimizer.steps());
            b.gradient(other);
            assertTrue(optimizer.step().taken());
        }
    }

    @Test
    void aSecondThreadIsRefusedWhileOneSteps() throws InterruptedException {
        AtomicReference<Throwable> failure = new AtomicReference<>();
        try (Model model = Model.small(device, ElementType.F32);
                Optimizer optimizer = fp32().build()) {
            optimizer.addAll(model.parameters());
            Thread other = new Thread(() -> {
                try {
                    optimizer.step();
                } catch (RuntimeException e) {
                    failure.set(e);
                }
            });
            // While this task runs, the pool is taken, and whoever steps waits for it in the middle of the step.
            device.workers().run(1, (task, worker) -> {
                other.start();
                PoolWaiter.await(other);
                for (Executable call : List.<Executable>of(optimizer::step, optimizer::describe, optimizer::close)) {
                    String message =
                            assertThrows(IllegalStateException.class, call).getMessage();
                    assertEquals(
                            "the optimizer is in use by another thread; one thread at a time may step or change it",
                            message);
                }
            });
            other.join();
            assertNull(failure.get());
            assertEquals(1, optimizer.steps());
        }
    }

    /** The copy of the weights is made before they turn out to be gone; {@link #closeWithNothingLeft} finds it if it leaks. */
    @Test
    void aParameterThatCannotBeAddedLeavesNothingBehind() {
        List<Parameter> gone = new ArrayList<>();
        try (Arena arena = Arena.ofShared()) {
            MemorySegment weights = arena.allocate(64 * 2, 2);
            MemorySegment gradient = arena.allocate(64 * 2, 2);
            for (ParameterKind kind : List.of(ParameterKind.MATRIX, ParameterKind.HEAD)) {
                gone.add(Parameter.of(
                        kind.toString(), kind, Shape.of(8, 8), weights, ElementType.BF16, gradient, ElementType.BF16));
            }
        }
        try (Optimizer optimizer =
                int8().weightRounding(WeightRounding.MASTER_WEIGHTS).build()) {
            for (Parameter parameter : gone) {
                assertThrows(IllegalStateException.class, () -> optimizer.add(parameter));
                assertEquals(0, device.ledger().total());
            }
            assertEquals(List.of(), optimizer.parameters());
        }
    }
}
