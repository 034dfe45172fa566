package dev.muonium.djl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import dev.muonium.memory.Purpose;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.apache.logging.log4j.Level;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Arrays of other strides than a trainer has as a rule. */
@Tag("djl")
final class ArraysTest {
    private static final Shape SHAPE = new Shape(6, 10);

    private static SequentialBlock block() {
        return new SequentialBlock()
                .add(Linear.builder().setUnits(6).optBias(false).build());
    }

    private static MuoniumOptimizer optimizer(TinyModel model) {
        return MuoniumOptimizer.builder(model.block0())
                .optNoHead()
                .optMuon(Muon.defaults().learningRate(0.1))
                .optAdamW(AdamW.defaults())
                .build();
    }

    private static Parameter parameter(TinyModel model) {
        model.block0().initialize(model.manager(), DataType.FLOAT32, new Shape(2, 10));
        return model.block0().getParameters().get("01Linear_weight");
    }

    /** The same matrix, its columns one behind the other. */
    private static NDArray reversed(NDArray matrix) {
        Shape shape = matrix.getShape();
        return matrix.transpose()
                .reshape(-1)
                .reshape(shape.get(1), shape.get(0))
                .transpose();
    }

    @Test
    void arraysThatAreNotContiguousAreCopiedAndLoggedOnce() {
        try (TinyModel model = new TinyModel(block());
                TinyModel other = new TinyModel(block());
                MuoniumOptimizer strided = optimizer(model);
                MuoniumOptimizer dense = optimizer(other);
                Log log = Log.of(ArrayOnDevice.class)) {
            NDManager manager = model.manager();
            NDArray start = manager.arange(60f).reshape(SHAPE).div(60);
            NDArray transposed = reversed(start);
            NDArray contiguous = start.duplicate();
            for (int step = 0; step < 4; step++) {
                NDArray gradient =
                        manager.arange(60f).reshape(SHAPE).sub(30 + step).sin();
                NDArray stridedGradient = reversed(gradient);
                strided.update(parameter(model).getId(), transposed, stridedGradient);
                dense.update(parameter(other).getId(), contiguous, gradient);
            }
            TorchArray seen = TorchArray.of(new TorchAbi(), "it", transposed);
            assertFalse(seen.isContiguous(), "the test needs an array that is not contiguous");
            assertArrayEquals(contiguous.toFloatArray(), transposed.toFloatArray());
            assertTrue(strided.device().orElseThrow().ledger().bytes(Purpose.WEIGHTS) >= 240);
            assertEquals(0, dense.device().orElseThrow().ledger().bytes(Purpose.WEIGHTS));
            assertTrue(strided.device().orElseThrow().ledger().bytes(Purpose.GRADIENTS) >= 240);
            assertEquals(0, dense.device().orElseThrow().ledger().bytes(Purpose.GRADIENTS));
            assertEquals(
                    2,
                    log.messages(Level.WARN).stream()
                            .filter(line -> line.contains("not contiguous"))
                            .count(),
                    log.messages(Level.WARN).toString());
        }
    }

    @Test
    void zeroesAGradientOfOtherStridesWithoutTouchingItsNeighbours() {
        try (TinyModel model = new TinyModel(block());
                NDManager manager = model.manager().newSubManager()) {
            NDArray whole = manager.ones(new Shape(6, 20));
            NDArray left = whole.get(":, 0:10");
            StridedCopy.zero(TorchArray.of(new TorchAbi(), "it", left));

            assertEquals(0, left.sum().getFloat());
            assertEquals(60, whole.sum().getFloat());
        }
    }

    @Test
    void copiesRoundAnyStrides() {
        try (TinyModel model = new TinyModel(block());
                NDManager manager = model.manager().newSubManager();
                Arena arena = Arena.ofConfined()) {
            NDArray array = manager.arange(2 * 3 * 4f).reshape(2, 3, 4).transpose(2, 0, 1);
            TorchArray seen = TorchArray.of(new TorchAbi(), "it", array);
            assertFalse(seen.isContiguous());
            MemorySegment dense = arena.allocate(24L * Float.BYTES, 8);
            StridedCopy.gather(seen, dense);
            assertArrayEquals(array.toFloatArray(), dense.toArray(ValueLayout.JAVA_FLOAT));

            NDArray back = array.zerosLike();
            StridedCopy.scatter(dense, TorchArray.of(new TorchAbi(), "it", back));
            assertArrayEquals(array.toFloatArray(), back.toFloatArray());
        }
    }

    @Test
    void seesWhereAViewBegins() {
        try (TinyModel model = new TinyModel(block());
                NDManager manager = model.manager().newSubManager()) {
            NDArray whole = manager.ones(new Shape(6, 20));
            NDArray rows = whole.get("2:4");
            TorchAbi abi = new TorchAbi();
            TorchArray view = TorchArray.of(abi, "it", rows);

            assertTrue(view.isContiguous());
            assertEquals(160, view.address() - TorchArray.of(abi, "it", whole).address());
            assertEquals(160, view.hostMemory().byteSize());
        }
    }
}
