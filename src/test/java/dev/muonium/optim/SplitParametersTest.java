package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.HostMemory;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.ortho.CoefficientSchedule;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.ortho.NormConvention;
import dev.muonium.ortho.Way;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Parameters of several matrices on a CPU, by tasks. */
@Tag("tier")
class SplitParametersTest extends SplitParametersContract {
    @Override
    protected Device openDevice() {
        return Device.cpu(2);
    }

    private static Model model(Device device) {
        Model model = new Model(device, ElementType.F32).with("table", ParameterKind.EMBEDDING, Shape.of(300, 64));
        splits().forEach(split -> model.with(split.name(), split.kind(), split.shape(), split.change()));
        return model;
    }

    private static Map<String, float[]> run(int threads, StateFormat format, StatePlacement placement) {
        try (Device device = Device.cpu(threads);
                Model model = model(device);
                Optimizer optimizer = Optimizer.builder(device)
                        .group(Muon.defaults().state(format))
                        .group(AdamW.defaults().state(format))
                        .clipGlobalNorm(1)
                        .statePlacement(placement)
                        .build()) {
            optimizer.addAll(model.parameters());
            for (int step = 0; step < 3; step++) {
                model.newGradients();
                optimizer.step(0.5);
            }
            return model.snapshot();
        }
    }

    @ParameterizedTest
    @EnumSource
    void theBitsAreTheSameForAnyNumberOfThreads(StateFormat format) {
        Map<String, float[]> one = run(1, format, StatePlacement.device());
        for (int threads = 2; threads <= 4; threads++) {
            OptimizerContract.assertSame(one, run(threads, format, StatePlacement.device()));
        }
    }

    @ParameterizedTest
    @EnumSource
    void theBitsAreTheSameWithStateInAFile(StateFormat format, @TempDir Path folder) {
        OptimizerContract.assertSame(
                run(2, format, StatePlacement.device()), run(2, format, StatePlacement.file(folder)));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void theWorkspaceIsAsPlanned(int threads) {
        for (StateFormat format : List.of(StateFormat.FP32, StateFormat.INT8)) {
            try (Device device = Device.cpu(threads);
                    Model model = model(device);
                    Optimizer optimizer = Optimizer.builder(device)
                            .group(Muon.defaults().state(format))
                            .group(AdamW.defaults().state(format))
                            .build()) {
                optimizer.addAll(model.parameters());
                optimizer.step();
                List<List<Shape>> matrices = model.parameters().stream()
                        .filter(parameter -> parameter.kind().isForMuon())
                        .map(Parameter::matrices)
                        .toList();
                Muon muon = Muon.defaults().state(format);
                long planned = OptimizerMemory.workspaceBytes(
                        muon,
                        matrices,
                        NewtonSchulz.defaults().precisionOn(device),
                        threads,
                        Optimizer.Builder.DEFAULT_WORKSPACE_CAP);
                assertEquals(planned, optimizer.workspaceBytes());
                assertEquals(
                        format == StateFormat.FP32 ? 0 : (3 + 3 + 2 + 3 + 1) * 512,
                        OptimizerMemory.borderBytes(muon, matrices));
            }
        }
    }

    /** A stack needs the workspace of a few of its matrices, never that of the whole. */
    @Test
    void aStackOfManyExpertsNeedsTheWorkspaceOfFew() {
        List<List<Shape>> one = List.of(List.of(Shape.of(256, 256)));
        List<List<Shape>> stack = List.of(Collections.nCopies(64, Shape.of(256, 256)));
        Muon muon = Muon.defaults().state(StateFormat.INT8);
        long of1 = OptimizerMemory.workspaceBytes(muon, one, ElementType.F32, 1, 1L << 30);
        assertEquals(2 * of1, OptimizerMemory.workspaceBytes(muon, stack, ElementType.F32, 2, 1L << 30));
    }

    /**
     * Bfloat16 by the Gram matrix goes wrong on matrices that are nearly of rank one. From FP32 state u is then made once more as it is for a matrix that is registered by
     * itself; in INT8 the noise beside rank one is lost.
     */
    @ParameterizedTest
    @EnumSource(names = {"FP32", "INT8"})
    void aMatrixWhoseIterationGoesWrongIsDoneAgain(StateFormat format) {
        try (Device device = Device.cpu(2)) {
            assumeTrue(device.isFast(ElementType.BF16), "this processor has no bfloat16 products");
            float[] split = updateByAnUnstableIteration(device, format, true);
            if (format == StateFormat.FP32) {
                assertArrayEquals(updateByAnUnstableIteration(device, format, false), split);
            }
            double rank = distance(split, new float[288 * 161]) / 0.02;
            assertTrue(rank > 1 && rank < 1.3 * Math.sqrt(288), () -> "three polar factors have the norm " + rank);
        }
    }

    private static float[] updateByAnUnstableIteration(Device device, StateFormat format, boolean split) {
        NewtonSchulz unstable = NewtonSchulz.defaults()
                .precision(ElementType.BF16)
                .schedule(CoefficientSchedule.minimax(5, 0.0005))
                .norm(NormConvention.GRAM)
                .way(Way.gram(5));
        Shape whole = Shape.of(288, 161);
        Shape part = Shape.of(96, 161);
        try (Tensor weight = device.allocate(Purpose.WEIGHTS, "w", ElementType.F32, whole);
                Tensor gradient = device.allocate(Purpose.GRADIENTS, "g", ElementType.F32, whole);
                Optimizer optimizer = Optimizer.builder(device)
                        .group(Muon.defaults().state(format).newtonSchulz(unstable))
                        .build()) {
            if (split) {
                optimizer.add(
                        Parameter.of(ParameterKind.MATRIX, weight, gradient).splitEvery(96));
            } else {
                for (int i = 0; i < 3; i++) {
                    long first = i * part.elements();
                    optimizer.add(Parameter.of(
                            ParameterKind.MATRIX,
                            weight.view("w" + i, first, part),
                            gradient.view("g" + i, first, part)));
                }
            }
            gradient.copyFrom(nearlyOfRankOne(3, 96, 161));
            assertEquals(3, optimizer.step().fallbacks());
            return weight.toFloatArray();
        }
    }

    /** The same address, and yet other memory: what was bound before is gone. */
    @Test
    void aGradientThatIsBoundAnewAtTheSameAddressIsRead() {
        try (Device device = Device.cpu(1);
                Arena memory = Arena.ofShared();
                Optimizer optimizer =
                        Optimizer.builder(device).group(Muon.defaults()).build()) {
            MemorySegment weights = memory.allocate(4 * 15 * 7, 4);
            MemorySegment gradient = memory.allocate(4 * 15 * 7, 4);
            gradient.setAtIndex(ValueLayout.JAVA_FLOAT, 104, 1);
            Arena first = Arena.ofShared();
            Parameter parameter = Parameter.matrix(
                            "w", weights, HostMemory.ofAddress(gradient.address(), 4 * 15 * 7, first), 15, 7)
                    .splitEvery(5);
            optimizer.add(parameter);
            optimizer.step();
            first.close();
            parameter.gradient(HostMemory.ofAddress(gradient.address(), 4 * 15 * 7, memory));
            assertTrue(optimizer.step().taken());
        }
    }

    private static double distance(float[] a, float[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
        }
        return Math.sqrt(sum);
    }

    private static float[] nearlyOfRankOne(int matrices, int rows, int cols) {
        float[] u = new float[matrices * rows * cols];
        Random random = new Random(17);
        for (int i = 0; i < matrices * rows; i++) {
            for (int j = 0; j < cols; j++) {
                u[i * cols + j] = (float) (random.nextGaussian() * 1e-3 + Math.cos(i % rows) * Math.sin(1.7 * j));
            }
        }
        return u;
    }
}
