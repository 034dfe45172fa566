package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import dev.muonium.ortho.CoefficientSchedule;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.ortho.NormConvention;
import dev.muonium.ortho.ReferenceNewtonSchulz;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Parameters of several matrices: each is orthogonalized as if it were registered by itself, and the state is that of the whole. */
abstract class SplitParametersContract {
    private static final float BETA = 0.95f;

    private Device device;

    /** The device to test. */
    protected abstract Device openDevice();

    /** An optimizer that steps in the way to test. */
    protected Optimizer.Builder builder(Device on) {
        return Optimizer.builder(on);
    }

    @BeforeEach
    void open() {
        device = openDevice();
    }

    @AfterEach
    void closeWithNothingLeft() {
        device.close();
        assertEquals(0, device.ledger().total(), () -> "bytes that nobody freed: " + device.ledger());
    }

    /**
     * A way of splitting.
     *
     * @param matrices what it has to give
     * @param onBlocks whether all borders fall on borders of blocks of 128
     */
    record Split(
            String name,
            ParameterKind kind,
            Shape shape,
            UnaryOperator<Parameter> change,
            List<Shape> matrices,
            boolean onBlocks) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static Shape[] times(int count, long rows, long cols) {
        Shape[] shapes = new Shape[count];
        Arrays.fill(shapes, Shape.of(rows, cols));
        return shapes;
    }

    static Stream<Split> splits() {
        return Stream.of(
                new Split("whole", ParameterKind.MATRIX, Shape.of(50, 30), p -> p, List.of(Shape.of(50, 30)), true),
                new Split("experts", ParameterKind.STACK, Shape.of(3, 32, 40), p -> p, List.of(times(3, 32, 40)), true),
                new Split(
                        "uneven experts",
                        ParameterKind.STACK,
                        Shape.of(2, 2, 30, 25),
                        p -> p,
                        List.of(times(4, 30, 25)),
                        false),
                new Split(
                        "convolution",
                        ParameterKind.CONVOLUTION,
                        Shape.of(24, 3, 5, 5),
                        p -> p,
                        List.of(Shape.of(24, 75)),
                        true),
                new Split(
                        "fused qkv",
                        ParameterKind.MATRIX,
                        Shape.of(112, 64),
                        p -> p.splitRows(64, 32, 16),
                        List.of(Shape.of(64, 64), Shape.of(32, 64), Shape.of(16, 64)),
                        true),
                new Split(
                        "heads of grouped queries",
                        ParameterKind.MATRIX,
                        Shape.of(96, 48),
                        p -> p.splitRows(64, 16, 16).splitEvery(16),
                        List.of(times(6, 16, 48)),
                        true),
                new Split(
                        "several matrices in a block",
                        ParameterKind.MATRIX,
                        Shape.of(40, 10),
                        p -> p.splitEvery(4),
                        List.of(times(10, 4, 10)),
                        false),
                new Split(
                        "pieces of every size",
                        ParameterKind.MATRIX,
                        Shape.of(30, 21),
                        p -> p.splitRows(7, 1, 20, 2),
                        List.of(Shape.of(7, 21), Shape.of(1, 21), Shape.of(20, 21), Shape.of(2, 21)),
                        false),
                new Split(
                        "gate and up of experts",
                        ParameterKind.STACK,
                        Shape.of(2, 48, 17),
                        p -> p.splitRows(30, 18),
                        List.of(Shape.of(30, 17), Shape.of(18, 17), Shape.of(30, 17), Shape.of(18, 17)),
                        false),
                new Split(
                        "several chunks",
                        ParameterKind.MATRIX,
                        Shape.of(120, 1389),
                        p -> p.splitRows(72, 48),
                        List.of(Shape.of(72, 1389), Shape.of(48, 1389)),
                        false));
    }

    private Model model(Split split, ElementType type) {
        return new Model(device, type).with("w", split.kind(), split.shape(), split.change());
    }

    /** With adjustments that depend on the shape, and the norm of torch. */
    private static Muon muon(StateFormat format, int iterations) {
        return Muon.defaults()
                .momentum(BETA)
                .adjustment(LearningRateAdjustment.SPECTRAL)
                .newtonSchulz(NewtonSchulz.defaults()
                        .precision(ElementType.F32)
                        .norm(NormConvention.MAX_EPSILON)
                        .schedule(CoefficientSchedule.polarExpress(iterations)))
                .state(format);
    }

    private Optimizer optimizer(StateFormat format) {
        return optimizer(format, 4);
    }

    private Optimizer optimizer(StateFormat format, int iterations) {
        return builder(device).group(muon(format, iterations)).build();
    }

    @ParameterizedTest
    @MethodSource("splits")
    void theMatricesAreThoseAskedFor(Split split) {
        try (Model model = model(split, ElementType.F32)) {
            assertEquals(split.matrices(), model.parameter("w").matrices());
            assertEquals(split.matrices(), model.parameter("w").inGroup("other").matrices(), "a copy keeps them");
        }
    }

    /** With FP32 state wherever the borders are, with 8 bits where they are borders of blocks. */
    @ParameterizedTest
    @MethodSource("splits")
    void theBitsAreThoseOfMatricesThatAreRegisteredByThemselves(Split split) {
        for (StateFormat format : StateFormat.values()) {
            if (format != StateFormat.FP32 && !split.onBlocks()) {
                continue;
            }
            try (Model together = model(split, ElementType.F32);
                    Model apart = model(split, ElementType.F32);
                    Optimizer fused = optimizer(format);
                    Optimizer single = optimizer(format)) {
                fused.addAll(together.parameters());
                long begin = 0;
                for (int i = 0; i < split.matrices().size(); i++) {
                    Shape matrix = split.matrices().get(i);
                    single.add(Parameter.of(
                            ParameterKind.MATRIX,
                            apart.weight("w").view("w" + i, begin, matrix),
                            apart.gradient("w").view("w" + i, begin, matrix)));
                    begin += matrix.elements();
                }
                for (int step = 0; step < 3; step++) {
                    together.newGradients();
                    apart.newGradients();
                    fused.step(0.5);
                    single.step(0.5);
                }
                assertArrayEquals(
                        apart.weight("w").toFloatArray(), together.weight("w").toFloatArray(), format.toString());
                assertArrayEquals(codesOf(single), codesOf(fused), format.toString());
            }
        }
    }

    private static byte[] codesOf(Optimizer optimizer) {
        MemorySegment all = MemorySegment.ofArray(new byte[(int) optimizer.stateBytes()]);
        long end = 0;
        for (Parameter parameter : optimizer.parameters()) {
            MemorySegment codes =
                    optimizer.state(parameter.name()).tensor("momentum_buffer").codes();
            MemorySegment.copy(codes, 0, all, end, codes.byteSize());
            end += codes.byteSize();
        }
        return all.asSlice(0, end).toArray(ValueLayout.JAVA_BYTE);
    }

    /** Codes and scales depend on gradients alone. */
    @ParameterizedTest
    @MethodSource("splits")
    void theStateIsThatOfTheWhole(Split split) {
        for (StateFormat format : StateFormat.values()) {
            long rows = split.shape().extent(0);
            try (Model together = model(split, ElementType.F32);
                    Model whole = new Model(device, ElementType.F32)
                            .with(
                                    "w",
                                    ParameterKind.MATRIX,
                                    Shape.of(rows, split.shape().elements() / rows));
                    Optimizer fused = optimizer(format, 1);
                    Optimizer single = optimizer(format, 1)) {
                fused.addAll(together.parameters());
                single.addAll(whole.parameters());
                for (int step = 0; step < 3; step++) {
                    together.newGradients();
                    whole.newGradients();
                    fused.step();
                    single.step();
                }
                assertArrayEquals(codesOf(single), codesOf(fused), format.toString());
                MemorySegment expected =
                        single.state("w").tensor("momentum_buffer").scales();
                MemorySegment actual =
                        fused.state("w").tensor("momentum_buffer").scales();
                if (expected != null && actual != null) {
                    assertArrayEquals(expected.toArray(ValueLayout.JAVA_FLOAT), actual.toArray(ValueLayout.JAVA_FLOAT));
                }
            }
        }
    }

    /** Momentum as it was stored, and all else by the formula in FP64, matrix by matrix. */
    @ParameterizedTest
    @MethodSource("splits")
    void everyMatrixIsUpdatedByTheFormula(Split split) {
        for (StateFormat format : List.of(StateFormat.FP32, StateFormat.INT8)) {
            assertUpdatedByTheFormula(split, format, 4, 3);
        }
    }

    /** Square matrices do not go the way of Gram matrices, which those of "several chunks" go. */
    @Test
    void squareMatricesOfSeveralChunksAreUpdatedByTheFormula() {
        Split squares = new Split(
                "square",
                ParameterKind.MATRIX,
                Shape.of(520, 260),
                p -> p.splitEvery(260),
                List.of(times(2, 260, 260)),
                false);
        assertUpdatedByTheFormula(squares, StateFormat.INT8, 2, 1);
    }

    private void assertUpdatedByTheFormula(Split split, StateFormat format, int iterations, int steps) {
        try (Model model = model(split, ElementType.F32);
                Optimizer optimizer = optimizer(format, iterations)) {
            optimizer.addAll(model.parameters());
            for (int step = 0; step < steps; step++) {
                model.newGradients();
                double[] u = update(
                        optimizer.state("w").tensor("momentum_buffer"),
                        model.gradient("w").toFloatArray());
                float[] before = model.weight("w").toFloatArray();
                optimizer.step();
                float[] after = model.weight("w").toFloatArray();
                int begin = 0;
                for (Shape matrix : split.matrices()) {
                    assertUpdated(split + " " + format, iterations, matrix, begin, u, before, after);
                    begin += (int) matrix.elements();
                }
            }
        }
    }

    private static double[] update(StateTensor stored, float[] gradient) {
        double[] u = new double[gradient.length];
        for (int i = 0; i < u.length; i++) {
            double m = value(stored, i);
            double fresh = BETA * m + (1 - BETA) * gradient[i];
            u[i] = BETA * fresh + (1 - BETA) * gradient[i];
        }
        return u;
    }

    private static double value(StateTensor stored, int i) {
        MemorySegment scales = stored.scales();
        return stored.format() == BlockFormat.F32 || scales == null
                ? stored.codes().getAtIndex(ValueLayout.JAVA_FLOAT, i)
                : stored.codes().get(ValueLayout.JAVA_BYTE, i)
                        * (double) scales.getAtIndex(ValueLayout.JAVA_FLOAT, i / stored.block());
    }

    private static void assertUpdated(
            String what, int iterations, Shape matrix, int begin, double[] u, float[] before, float[] after) {
        int rows = (int) matrix.extent(0);
        int cols = (int) matrix.extent(1);
        double[] own = Arrays.copyOfRange(u, begin, begin + rows * cols);
        Muon muon = muon(StateFormat.FP32, iterations);
        double[] o = ReferenceNewtonSchulz.apply(Objects.requireNonNull(muon.newtonSchulz()), own, rows, cols);
        double lr = muon.learningRate();
        double error = 0;
        double way = 0;
        for (int i = 0; i < o.length; i++) {
            double w = before[begin + i];
            double step = -lr * muon.weightDecay() * w - lr * Math.sqrt((double) rows / cols) * o[i];
            error += Math.pow(after[begin + i] - w - step, 2);
            way += step * step;
        }
        double relative = Math.sqrt(error / way);
        // Weights of 0.1 are rounded to 2^-28, steps of them are about 2^-9.
        assertTrue(relative < 2e-5, () -> what + ": " + matrix + " is off by " + relative);
    }

    @Test
    void aConvolutionIsItsFlattenedMatrix() {
        for (StateFormat format : StateFormat.values()) {
            try (Model kernel = new Model(device, ElementType.F32)
                            .with("w", ParameterKind.CONVOLUTION, Shape.of(40, 5, 3, 3));
                    Model flat = new Model(device, ElementType.F32).with("w", ParameterKind.MATRIX, Shape.of(40, 45));
                    Optimizer a = optimizer(format);
                    Optimizer b = optimizer(format)) {
                a.addAll(kernel.parameters());
                b.addAll(flat.parameters());
                for (int step = 0; step < 3; step++) {
                    kernel.newGradients();
                    flat.newGradients();
                    a.step();
                    b.step();
                }
                assertArrayEquals(
                        flat.weight("w").toFloatArray(), kernel.weight("w").toFloatArray());
            }
        }
    }

    /** All splits in one optimizer. */
    private static Model all(Device on, ElementType type) {
        Model model = new Model(on, type).with("gain", ParameterKind.VECTOR, Shape.of(77));
        splits().forEach(split -> model.with(split.name(), split.kind(), split.shape(), split.change()));
        return model;
    }

    private static Optimizer.Builder groups(Optimizer.Builder builder, StateFormat format) {
        return builder.group(Muon.defaults().state(format))
                .group(AdamW.defaults().state(format))
                .clipGlobalNorm(3);
    }

    @ParameterizedTest
    @EnumSource(names = {"FP32", "INT8"})
    void aStepThatIsLeftOutChangesNothingAndARunGoesOnFromItsState(StateFormat format) {
        try (Model a = all(device, ElementType.F32);
                Model b = all(device, ElementType.F32);
                Optimizer first = groups(builder(device), format).build();
                Optimizer resumed = groups(builder(device), format).build()) {
            first.addAll(a.parameters());
            for (int step = 0; step < 3; step++) {
                a.newGradients();
                b.newGradients();
                first.step();
            }
            Map<String, float[]> before = a.snapshot();
            List<byte[]> state = OptimizerContract.stateOf(first);
            a.gradient("fused qkv").setFloat(112 * 64 - 1, Float.NaN);
            assertEquals("fused qkv", first.step().nonFiniteParameter());
            OptimizerContract.assertSame(before, a.snapshot());
            OptimizerContract.assertSameBytes(state, OptimizerContract.stateOf(first));

            resumed.addAll(b.parameters());
            for (Parameter parameter : b.parameters()) {
                b.weight(parameter.name()).copyFrom(before.get(parameter.name()));
                resumed.restore(parameter.name(), first.state(parameter.name()));
            }
            for (int step = 0; step < 2; step++) {
                a.newGradients();
                b.newGradients();
                first.step();
                resumed.step();
            }
            OptimizerContract.assertSame(a.snapshot(), b.snapshot());
            OptimizerContract.assertSameBytes(OptimizerContract.stateOf(first), OptimizerContract.stateOf(resumed));
        }
    }

    /** A run that registered one matrix goes on with heads, and the other way round. */
    @Test
    void aStateDoesNotDependOnTheSplit() {
        try (Model whole = new Model(device, ElementType.F32).with("w", ParameterKind.MATRIX, Shape.of(30, 21));
                Model split = new Model(device, ElementType.F32)
                        .with("w", ParameterKind.MATRIX, Shape.of(30, 21), p -> p.splitEvery(10));
                Optimizer one = optimizer(StateFormat.INT8);
                Optimizer three = optimizer(StateFormat.INT8)) {
            one.addAll(whole.parameters());
            three.addAll(split.parameters());
            whole.newGradients();
            one.step();
            three.restore("w", one.state("w"));
            assertEquals(1, three.state("w").step());
            assertArrayEquals(codesOf(one), codesOf(three));
            one.restore("w", three.state("w"));
            assertTrue(one.step().taken());
        }
    }

    /** On a GPU a plan is a recorded graph: addresses of gradients are data. */
    @Test
    void gradientsThatMoveMakeNoNewPlanAndAreRead() {
        try (Model moved = all(device, ElementType.F32);
                Model elsewhere = all(device, ElementType.F32);
                Model stayed = all(device, ElementType.F32);
                Optimizer a = groups(builder(device), StateFormat.INT8).build();
                Optimizer b = groups(builder(device), StateFormat.INT8).build()) {
            a.addAll(moved.parameters());
            b.addAll(stayed.parameters());
            long allocations = 0;
            for (int step = 0; step < 4; step++) {
                moved.newGradients();
                elsewhere.newGradients();
                stayed.newGradients();
                for (Parameter parameter : moved.parameters()) {
                    Model from = step % 2 == 0 ? elsewhere : moved;
                    (step % 2 == 0 ? moved : elsewhere)
                            .gradient(parameter.name())
                            .copyFrom(new float[(int) parameter.shape().elements()]);
                    parameter.gradient(from.gradient(parameter.name()).segment());
                }
                a.step();
                b.step();
                allocations = step == 1 ? device.ledger().allocations() : allocations;
            }
            OptimizerContract.assertSame(stayed.snapshot(), moved.snapshot());
            assertEquals(1, a.plansMade());
            assertEquals(allocations, device.ledger().allocations());
        }
    }

    @Test
    void masterWeightsFollowTheFp32Run() {
        try (Model wide = all(device, ElementType.F32);
                Model narrow = all(device, ElementType.BF16);
                Optimizer full = groups(builder(device), StateFormat.INT8).build();
                Optimizer master = groups(builder(device), StateFormat.INT8)
                        .weightRounding(WeightRounding.MASTER_WEIGHTS)
                        .build()) {
            narrow.snapshot().forEach((name, values) -> wide.weight(name).copyFrom(values));
            full.addAll(wide.parameters());
            master.addAll(narrow.parameters());
            for (int step = 0; step < 3; step++) {
                narrow.newGradients();
                for (Parameter parameter : narrow.parameters()) {
                    wide.gradient(parameter.name())
                            .copyFrom(narrow.gradient(parameter.name()).toFloatArray());
                }
                full.step();
                master.step();
            }
            for (Parameter parameter : wide.parameters()) {
                assertArrayEquals(
                        wide.weight(parameter.name()).toFloatArray(),
                        master.state(parameter.name())
                                .tensor("master_weights")
                                .codes()
                                .toArray(ValueLayout.JAVA_FLOAT),
                        parameter.name());
            }
        }
    }

    /** Each matrix has a key of its own: equal matrices with equal gradients are rounded differently. */
    @Test
    void bf16WeightsOfEachMatrixAreRoundedByItsOwnKey() {
        float[][] runs = new float[2][];
        for (int run = 0; run < 2; run++) {
            try (Model model = new Model(device, ElementType.BF16).with("w", ParameterKind.STACK, Shape.of(2, 32, 32));
                    Optimizer optimizer = optimizer(StateFormat.FP32)) {
                float[] values = model.newGradients().gradient("w").toFloatArray();
                System.arraycopy(values, 0, values, 1024, 1024);
                model.gradient("w").copyFrom(values);
                float[] weights = model.weight("w").toFloatArray();
                System.arraycopy(weights, 0, weights, 1024, 1024);
                model.weight("w").copyFrom(weights);
                optimizer.addAll(model.parameters());
                for (int step = 0; step < 3; step++) {
                    optimizer.step();
                }
                runs[run] = model.weight("w").toFloatArray();
            }
        }
        assertArrayEquals(runs[0], runs[1]);
        assertFalse(
                Arrays.equals(Arrays.copyOf(runs[0], 1024), Arrays.copyOfRange(runs[0], 1024, 2048)),
                "both are rounded alike");
    }

    /** Element by element there is nothing to split. */
    @Test
    void adamWTakesNoNoticeOfASplit() {
        try (Model split = new Model(device, ElementType.F32)
                        .with(
                                "w",
                                ParameterKind.MATRIX,
                                Shape.of(30, 21),
                                p -> p.splitEvery(5).inGroup("adamw"))
                        .with("k", ParameterKind.CONVOLUTION, Shape.of(6, 3, 5, 5), p -> p.inGroup("adamw"));
                Model plain = new Model(device, ElementType.F32)
                        .with("w", ParameterKind.MATRIX, Shape.of(30, 21), p -> p.inGroup("adamw"))
                        .with("k", ParameterKind.VECTOR, Shape.of(450));
                Optimizer a = builder(device).group(AdamW.defaults()).build();
                Optimizer b = builder(device).group(AdamW.defaults()).build()) {
            a.addAll(split.parameters());
            b.addAll(plain.parameters());
            for (int step = 0; step < 3; step++) {
                split.newGradients();
                plain.newGradients();
                a.step();
                b.step();
            }
            OptimizerContract.assertSame(plain.snapshot(), split.snapshot());
            assertFalse(a.describe().contains(" as "), a.describe());
        }
    }

    @Test
    void theTableShowsTheMatrices() {
        try (Model model = all(device, ElementType.F32);
                Optimizer optimizer = groups(builder(device), StateFormat.INT8).build()) {
            optimizer.addAll(model.parameters());
            List<String> lines = optimizer
                    .describe()
                    .lines()
                    // The polynomials are the device's choice.
                    .map(line -> line.replaceAll("  +", " | ").replaceAll(" \\((four-steps|keller)\\)", ""))
                    .toList();
            assertTrue(lines.contains(
                    "experts | 3×32×40 as 3 of 32×40 | muon | muon | int8 linear/128 | 0.02000 | 3,960"));
            assertTrue(lines.contains(
                    "fused qkv | 112×64 as 64×64 + 32×64 + 16×64 | muon | muon | int8 linear/128 | 0.02000 | 7,392"));
            assertTrue(lines.contains(
                    "convolution | 24×3×5×5 as 24×75 | muon | muon | int8 linear/128 | 0.02000 | 1,860"));
            assertTrue(lines.contains("whole | 50×30 | muon | muon | int8 linear/128 | 0.02582 | 1,548"));
            assertTrue(lines.contains("gate and up of experts | 2×48×17 as 2 of 30×17 + 2 of 18×17 | muon | muon"
                    + " | int8 linear/128 | 0.02058 to 0.02657 | 1,684"));
        }
    }

    @Test
    void splitsThatAreNoneGetASentence() {
        try (Model model = new Model(device, ElementType.F32)
                        .with("qkv", ParameterKind.MATRIX, Shape.of(96, 32))
                        .with("flat", ParameterKind.MATRIX, Shape.of(32, 96))
                        .with("experts", ParameterKind.STACK, Shape.of(3, 4, 5))
                        .with("cube", ParameterKind.MATRIX, Shape.of(3, 4, 5))
                        .with("gain", ParameterKind.VECTOR, Shape.of(77));
                Optimizer optimizer = optimizer(StateFormat.FP32)) {
            Parameter qkv = model.parameter("qkv");
            assertSentence(
                    "parameter 'qkv' is to be split into [32, 32] rows; together they must be the 96 of its matrix of"
                            + " 96×32",
                    () -> qkv.splitRows(32, 32));
            assertSentence("into [64, 64] rows; together they must be the 96", () -> qkv.splitRows(64, 64));
            assertSentence("into [] rows; together they must be the 96", qkv::splitRows);
            assertSentence("into [96, 0] rows; each piece must have at least 1", () -> qkv.splitRows(96, 0));
            assertSentence("into [97, -1] rows; each piece must have at least 1", () -> qkv.splitRows(97, -1));
            assertSentence(
                    "together they must be the 96 of its matrix of 96×32",
                    () -> qkv.splitRows(Long.MAX_VALUE, Long.MAX_VALUE, 98));
            assertSentence(
                    "together they must be the 32 of its matrix of 32×96, and columns cannot be split: their pieces"
                            + " are not dense",
                    () -> model.parameter("flat").splitRows(32, 32, 32));
            assertSentence(
                    "parameter 'experts' is to be split into [12] rows; together they must be the 4 of its matrix of"
                            + " 4×5",
                    () -> model.parameter("experts").splitRows(12));
            assertSentence(
                    "parameter 'qkv' is to be split every 40 rows; its matrix of 96×32 must be a whole number of them",
                    () -> qkv.splitEvery(40));
            assertSentence("is to be split every 0 rows", () -> qkv.splitEvery(0));
            assertSentence("is to be split every -96 rows", () -> qkv.splitEvery(-96));
            assertSentence(
                    "parameter 'gain' is a VECTOR of 77; only matrices can be split into ranges of rows",
                    () -> model.parameter("gain").splitEvery(7));
            assertSentence(
                    "'cube' is a MATRIX of 3×4×5; only matrices can be split",
                    () -> model.parameter("cube").splitRows(1, 2));
            assertSentence(
                    "parameter 'cube' has the shape 3×4×5 and Muon updates matrices (rows × cols) only; name an AdamW"
                            + " group, or make it a STACK or a CONVOLUTION",
                    () -> optimizer.add(model.parameter("cube")));
            assertSentence(
                    "parameter 'flat' is a STACK and has the shape 32×96; it must have three extents or more, as"
                            + " count × rows × cols",
                    () -> Parameter.of(ParameterKind.STACK, model.weight("flat"), model.gradient("flat")));
            assertSentence(
                    "is a CONVOLUTION and has the shape 32×96",
                    () -> Parameter.of(ParameterKind.CONVOLUTION, model.weight("flat"), model.gradient("flat")));
        }
    }

    private static void assertSentence(String part, Executable call) {
        String message = assertThrows(IllegalArgumentException.class, call).getMessage();
        assertTrue(message.contains(part), message);
    }
}
