package dev.muonium.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.Bf16;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StateFormat;
import dev.muonium.optim.StateTensor;
import dev.muonium.optim.WeightRounding;
import dev.muonium.quant.BlockValues;
import dev.muonium.quant.DynamicMap;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** State under other frameworks' names, with files as a Python user writes them, on every device. */
abstract class ForeignStateContract {
    private static final Shape MATRIX = Shape.of(48, 130);
    private static final Shape TABLE = Shape.of(70, 64);
    private static final Shape VECTOR = Shape.of(77);
    private static final Map<String, Shape> SHAPES = Map.of("mlp.up", MATRIX, "wte", TABLE, "norm", VECTOR);

    @TempDir
    private Path folder;

    private final Random random = new Random(7);
    private Device device;

    abstract Device openDevice();

    @BeforeEach
    void open() {
        device = openDevice();
    }

    @AfterEach
    void close() {
        assertEquals(0, device.ledger().bytes(Purpose.CHECKPOINT), "what conversion needs is freed");
        device.close();
    }

    /** A matrix for Muon, an embedding and a vector for AdamW, and the optimizer over them. */
    private final class Run implements AutoCloseable {
        final Map<String, Tensor> weights = new HashMap<>();
        final Map<String, Tensor> gradients = new HashMap<>();
        final Optimizer optimizer;

        Run(StateFormat format, int block, ElementType type) {
            optimizer = Optimizer.builder(device)
                    .group(Muon.defaults().state(format).block(block))
                    .group(AdamW.defaults().state(format).block(block))
                    .weightRounding(WeightRounding.MASTER_WEIGHTS)
                    .build();
            add("mlp.up", ParameterKind.MATRIX, MATRIX, type);
            add("wte", ParameterKind.EMBEDDING, TABLE, type);
            add("norm", ParameterKind.VECTOR, VECTOR, type);
        }

        private void add(String name, ParameterKind kind, Shape shape, ElementType type) {
            Tensor w = device.allocate(Purpose.WEIGHTS, name, type, shape);
            Tensor g = device.allocate(Purpose.GRADIENTS, name, type, shape);
            weights.put(name, w);
            gradients.put(name, g);
            optimizer.add(Parameter.of(kind, w, g));
        }

        void step(long seed) {
            Random noise = new Random(seed);
            for (String name : List.of("mlp.up", "wte", "norm")) {
                float[] values = new float[(int) SHAPES.get(name).elements()];
                for (int i = 0; i < values.length; i++) {
                    values[i] = (float) noise.nextGaussian();
                }
                gradients.get(name).copyFrom(values);
            }
            optimizer.step();
        }

        float[] values(String parameter, String key) {
            StateTensor tensor = optimizer.state(parameter).tensor(key);
            BlockValues values =
                    new BlockValues(device, tensor.format(), tensor.block(), tensor.codes(), tensor.scales());
            float[] decoded = new float[(int) tensor.elements()];
            for (int i = 0; i < decoded.length; i++) {
                decoded[i] = values.at(i);
            }
            return decoded;
        }

        byte[] codes(String parameter, String key) {
            StateTensor tensor = optimizer.state(parameter).tensor(key);
            return tensor.codes()
                    .asSlice(0, tensor.elements() * tensor.format().codeType().byteSize())
                    .toArray(ValueLayout.JAVA_BYTE);
        }

        float[] scales(String parameter, String key) {
            return optimizer.state(parameter).tensor(key).scales().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
        }

        @Override
        public void close() {
            optimizer.close();
            weights.values().forEach(Tensor::close);
            gradients.values().forEach(Tensor::close);
        }
    }

    private Run run(StateFormat format, int block) {
        return new Run(format, block, ElementType.F32);
    }

    // --- files as Python writes them

    private float[] noise(Shape shape, boolean squared) {
        float[] values = new float[(int) shape.elements()];
        for (int i = 0; i < values.length; i++) {
            double value = random.nextGaussian();
            values[i] = (float) (squared ? value * value * 1e-3 : value);
        }
        return values;
    }

    private static List<Long> extents(Shape shape) {
        List<Long> extents = new ArrayList<>();
        for (int axis = 0; axis < shape.rank(); axis++) {
            extents.add(shape.extent(axis));
        }
        return extents;
    }

    private static StoredTensor floats(String name, List<Long> shape, float... values) {
        MemorySegment data = Arena.ofAuto().allocate(4L * Math.max(1, values.length), 8);
        MemorySegment.copy(values, 0, data, ValueLayout.JAVA_FLOAT, 0, values.length);
        return new StoredTensor(name, StoredType.F32, shape, data.asSlice(0, 4L * values.length));
    }

    private static StoredTensor bytes(String name, List<Long> shape, byte[] values) {
        MemorySegment data = Arena.ofAuto().allocate(values.length, 8);
        MemorySegment.copy(values, 0, data, ValueLayout.JAVA_BYTE, 0, values.length);
        return new StoredTensor(name, StoredType.U8, shape, data);
    }

    private static StoredTensor count(String name, long value) {
        MemorySegment data = Arena.ofAuto().allocate(8, 8);
        data.set(ValueLayout.JAVA_LONG, 0, value);
        return new StoredTensor(name, StoredType.I64, List.of(), data);
    }

    /** {@code torch.optim.Muon} over the matrix, {@code torch.optim.AdamW} over the rest. */
    private Map<String, StoredTensor> torch() {
        List<StoredTensor> all = List.of(
                floats("mlp.up.momentum_buffer", extents(MATRIX), noise(MATRIX, false)),
                floats("wte.exp_avg", extents(TABLE), noise(TABLE, false)),
                floats("wte.exp_avg_sq", extents(TABLE), noise(TABLE, true)),
                floats("wte.step", List.of(), 1000),
                floats("norm.exp_avg", extents(VECTOR), noise(VECTOR, false)),
                floats("norm.exp_avg_sq", extents(VECTOR), noise(VECTOR, true)),
                floats("norm.step", List.of(), 1000));
        Map<String, StoredTensor> map = new HashMap<>();
        all.forEach(tensor -> map.put(tensor.name(), tensor));
        return map;
    }

    /** {@code bnb.optim.AdamW8bit} over embedding and vector, which is below 4,096 elements. */
    private Map<String, StoredTensor> bitsandbytes(int block) {
        Map<String, StoredTensor> map = torch();
        map.remove("wte.exp_avg");
        map.remove("wte.exp_avg_sq");
        int blocks = (int) ((TABLE.elements() + block - 1) / block);
        for (int number = 1; number <= 2; number++) {
            byte[] codes = new byte[(int) TABLE.elements()];
            random.nextBytes(codes);
            float[] absmax = new float[blocks];
            for (int i = 0; i < blocks; i++) {
                absmax[i] = (float) Math.abs(random.nextGaussian()) + 1e-3f;
            }
            put(map, bytes("wte.state" + number, extents(TABLE), codes));
            put(map, floats("wte.absmax" + number, List.of((long) blocks), absmax));
            put(map, floats("wte.qmap" + number, List.of(256L), qmap(number)));
        }
        put(map, count("wte.step", 1000));
        put(map, count("norm.step", 1000));
        rename(map, "norm.exp_avg", "norm.state1");
        rename(map, "norm.exp_avg_sq", "norm.state2");
        return map;
    }

    private static void put(Map<String, StoredTensor> map, StoredTensor tensor) {
        map.put(tensor.name(), tensor);
    }

    private static void rename(Map<String, StoredTensor> map, String from, String to) {
        StoredTensor tensor = map.remove(from);
        put(map, new StoredTensor(to, tensor.type(), tensor.shape(), tensor.data()));
    }

    private static float[] qmap(int number) {
        Path file = Path.of("src/test/resources/golden/dynamic_map_" + (number == 1 ? "signed" : "unsigned") + ".txt");
        try (var lines = Files.lines(file)) {
            List<String> values = lines.filter(line -> !line.isBlank()).toList();
            float[] map = new float[values.size()];
            for (int i = 0; i < map.length; i++) {
                map[i] = Float.parseFloat(values.get(i));
            }
            return map;
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private Path write(Map<String, StoredTensor> tensors) {
        Path file = folder.resolve("optimizer.safetensors");
        SafetensorsWriter.write(file, Map.of("format", "pt"), List.copyOf(tensors.values()));
        return file;
    }

    private void load(Run run, Map<String, StoredTensor> tensors) {
        new ForeignState(device, run.optimizer).load(write(tensors));
    }

    // --- what is taken over

    @Test
    void stateOfTorchIsTheSameBitsInFp32() {
        Map<String, StoredTensor> torch = torch();
        try (Run run = run(StateFormat.FP32, 128)) {
            load(run, torch);

            for (String key : List.of(
                    "mlp.up.momentum_buffer", "wte.exp_avg", "wte.exp_avg_sq", "norm.exp_avg", "norm.exp_avg_sq")) {
                int dot = key.lastIndexOf('.');
                assertArrayEquals(
                        torch.get(key).toFloats(), run.values(key.substring(0, dot), key.substring(dot + 1)), key);
            }
            assertEquals(1000, run.optimizer.steps());
            assertEquals(1000, run.optimizer.state("wte").step());
            assertEquals(1000, run.optimizer.state("mlp.up").step(), "Muon's own count is the run's");
        }
    }

    /** q = round(x / scale) with scale = absmax / 127, and the nearest entry of a map. */
    @Test
    void fp32IsQuantizedAsTheGroupKeepsIt() {
        Map<String, StoredTensor> torch = torch();
        try (Run run = run(StateFormat.INT8, 64)) {
            load(run, torch);

            float[] momentum = torch.get("mlp.up.momentum_buffer").toFloats();
            byte[] codes = run.codes("mlp.up", "momentum_buffer");
            for (int begin = 0; begin < momentum.length; begin += 64) {
                int end = Math.min(begin + 64, momentum.length);
                float scale = absmax(momentum, begin, end) / 127;
                for (int i = begin; i < end; i++) {
                    assertEquals((byte) Math.rint(momentum[i] / scale), codes[i]);
                }
            }
            float[] m = torch.get("wte.exp_avg").toFloats();
            DynamicMap map = DynamicMap.of(device, BlockFormat.INT8_DYNAMIC_SIGNED);
            byte[] coded = run.codes("wte", "exp_avg");
            for (int i = 0; i < m.length; i++) {
                float scale = absmax(m, i / 64 * 64, Math.min(i / 64 * 64 + 64, m.length));
                assertEquals(map.nearest(m[i] / scale), coded[i] & 0xFF);
            }
        }
    }

    private static float absmax(float[] values, int begin, int end) {
        float most = 0;
        for (int i = begin; i < end; i++) {
            most = Math.max(most, Math.abs(values[i]));
        }
        return most;
    }

    @Test
    void aPositiveVNeverBecomesZero() {
        Map<String, StoredTensor> torch = torch();
        float[] v = new float[(int) TABLE.elements()];
        v[0] = 1;
        v[1] = 1e-12f; // far below what the map can tell from 0
        put(torch, floats("wte.exp_avg_sq", extents(TABLE), v));
        try (Run run = run(StateFormat.INT8, 128)) {
            load(run, torch);

            byte[] codes = run.codes("wte", "exp_avg_sq");
            assertEquals(1, codes[1]);
            assertEquals(0, codes[2]);
        }
    }

    @Test
    void bf16StateIsWidened() {
        Map<String, StoredTensor> torch = torch();
        float[] values = noise(VECTOR, false);
        MemorySegment data = Arena.ofAuto().allocate(2L * values.length, 8);
        for (int i = 0; i < values.length; i++) {
            data.setAtIndex(ValueLayout.JAVA_SHORT, i, Bf16.fromFloat(values[i]));
            values[i] = Bf16.toFloat(Bf16.fromFloat(values[i]));
        }
        put(torch, new StoredTensor("norm.exp_avg", StoredType.BF16, extents(VECTOR), data));
        try (Run run = run(StateFormat.FP32, 128)) {
            load(run, torch);

            assertArrayEquals(values, run.values("norm", "exp_avg"));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {256, 2048})
    void codesInBlocksOfTheSameSizeAreTakenAsTheyAre(int block) {
        Map<String, StoredTensor> bnb = bitsandbytes(block);
        try (Run run = run(StateFormat.INT8, block)) {
            load(run, bnb);

            assertArrayEquals(bytesOf(bnb.get("wte.state1")), run.codes("wte", "exp_avg"));
            assertArrayEquals(bytesOf(bnb.get("wte.state2")), run.codes("wte", "exp_avg_sq"));
            assertArrayEquals(bnb.get("wte.absmax1").toFloats(), run.scales("wte", "exp_avg"));
            assertArrayEquals(bnb.get("wte.absmax2").toFloats(), run.scales("wte", "exp_avg_sq"));
            assertEquals(1000, run.optimizer.state("wte").step());

            Path back = folder.resolve("back.safetensors");
            new ForeignState(device, run.optimizer).saveBitsandbytes(back, block);
            try (Safetensors file = Safetensors.open(back)) {
                for (String key : List.of("state1", "state2", "absmax1", "absmax2", "qmap1", "qmap2", "step")) {
                    StoredTensor there = bnb.get("wte." + key);
                    StoredTensor here = file.tensor("wte." + key);
                    assertEquals(there.type(), here.type(), key);
                    assertEquals(there.shape(), here.shape(), key);
                    assertEquals(-1, there.data().mismatch(here.data()), key);
                }
                assertEquals(StoredType.F32, file.tensor("norm.state1").type(), "below 4,096 elements");
                assertEquals(
                        extents(MATRIX), file.tensor("mlp.up.momentum_buffer").shape());
            }
        }
    }

    private static byte[] bytesOf(StoredTensor tensor) {
        return tensor.data().toArray(ValueLayout.JAVA_BYTE);
    }

    @Test
    void codesInOtherBlocksAreDecodedByTheirMap() {
        Map<String, StoredTensor> bnb = bitsandbytes(256);
        float[] map = qmap(1);
        byte[] codes = bytesOf(bnb.get("wte.state1"));
        float[] absmax = bnb.get("wte.absmax1").toFloats();
        try (Run run = run(StateFormat.FP32, 128)) {
            load(run, bnb);

            float[] values = run.values("wte", "exp_avg");
            for (int i = 0; i < values.length; i++) {
                assertEquals(map[codes[i] & 0xFF] * absmax[i / 256], values[i]);
            }
        }
        try (Run run = run(StateFormat.INT8, 128)) {
            load(run, bnb);

            float[] values = run.values("wte", "exp_avg");
            for (int i = 0; i < values.length; i++) {
                // The map's steps are at most 1/64 of the block's largest magnitude wide.
                assertEquals(map[codes[i] & 0xFF] * absmax[i / 256], values[i], absmax[i / 256] / 100);
            }
        }
    }

    /** torch's maps differ in the last place from build to build. */
    @Test
    void aMapThatWasRoundedOtherwiseIsOurs() {
        Map<String, StoredTensor> bnb = bitsandbytes(256);
        float[] map = qmap(1);
        for (int i = 0; i < map.length; i++) {
            map[i] = i % 2 == 0 ? Math.nextUp(map[i]) : map[i];
        }
        map[127] = 0;
        put(bnb, floats("wte.qmap1", List.of(256L), map));
        try (Run run = run(StateFormat.INT8, 256)) {
            load(run, bnb);

            assertArrayEquals(bytesOf(bnb.get("wte.state1")), run.codes("wte", "exp_avg"));
        }
    }

    @Test
    void aKernelOfAConvolutionAndAFlatArrayAreTheMatrixThatTheyAreKeptAs() {
        Map<String, StoredTensor> torch = torch();
        StoredTensor momentum = torch.get("mlp.up.momentum_buffer");
        for (List<Long> shape : List.of(List.of(48L, 13L, 2L, 5L), List.of(48L * 130), List.of(48L, 130L, 1L, 1L))) {
            put(torch, new StoredTensor(momentum.name(), StoredType.F32, shape, momentum.data()));
            try (Run run = run(StateFormat.FP32, 128)) {
                load(run, torch);

                assertArrayEquals(momentum.toFloats(), run.values("mlp.up", "momentum_buffer"));
            }
        }
    }

    @Test
    void severalFilesTogetherHaveAllParameters() {
        Map<String, StoredTensor> torch = torch();
        Path muon = folder.resolve("muon.safetensors");
        SafetensorsWriter.write(muon, Map.of(), List.of(torch.get("mlp.up.momentum_buffer")));
        Map<String, StoredTensor> rest = new HashMap<>(torch);
        rest.remove("mlp.up.momentum_buffer");
        try (Run run = run(StateFormat.FP32, 128)) {
            ForeignState state = new ForeignState(device, run.optimizer);
            state.load(muon, write(rest));

            assertArrayEquals(torch.get("mlp.up.momentum_buffer").toFloats(), run.values("mlp.up", "momentum_buffer"));
            assertTrue(assertThrows(CheckpointException.class, () -> state.load(muon, write(torch)))
                    .getMessage()
                    .startsWith("there are two tensors 'mlp.up.momentum_buffer', in '"));
        }
    }

    @Test
    void aRunSaysItsStepsWhereParametersDisagree() {
        Map<String, StoredTensor> torch = torch();
        put(torch, floats("norm.step", List.of(), 400)); // it was frozen for a while
        try (Run run = run(StateFormat.FP32, 128)) {
            new ForeignState(device, run.optimizer).load(1200, write(torch));

            assertEquals(1200, run.optimizer.steps());
            assertEquals(400, run.optimizer.state("norm").step());
            assertEquals(1000, run.optimizer.state("wte").step());
        }
    }

    // --- there and back

    /** Weights after further steps are the same bits as if nothing had been exchanged. */
    @ParameterizedTest
    @CsvSource({"FP32, 128, torch", "INT8_DYNAMIC, 256, bitsandbytes"})
    void aRunGoesOnAsIfNothingHadBeenExchanged(StateFormat format, int block, String dialect) {
        Path file = folder.resolve("there.safetensors");
        try (Run first = run(format, block);
                Run second = run(format, block)) {
            for (int step = 0; step < 4; step++) {
                first.step(step);
            }
            ForeignState from = new ForeignState(device, first.optimizer);
            if (dialect.equals("torch")) {
                from.saveTorch(file);
            } else {
                from.saveBitsandbytes(file, block);
            }
            new ForeignState(device, second.optimizer).load(file);
            second.weights.forEach(
                    (name, tensor) -> tensor.copyFrom(first.weights.get(name).toFloatArray()));
            first.step(99);
            second.step(99);

            // What bitsandbytes has no 8-bit format for goes through FP32, whose codes have other scales by a rounding.
            for (String name : dialect.equals("torch") ? SHAPES.keySet() : List.of("wte")) {
                assertArrayEquals(
                        first.weights.get(name).toFloatArray(),
                        second.weights.get(name).toFloatArray(),
                        name);
            }
            assertEquals(5, second.optimizer.steps());
        }
    }

    @Test
    void exportDecodesToFp32InTheParametersShape() {
        Path file = folder.resolve("torch.safetensors");
        try (Run run = run(StateFormat.INT8, 128)) {
            run.step(1);
            run.step(2);
            new ForeignState(device, run.optimizer).saveTorch(file);
            try (Safetensors saved = Safetensors.open(file)) {
                assertEquals(7, saved.names().size());
                assertEquals(
                        extents(MATRIX), saved.tensor("mlp.up.momentum_buffer").shape());
                assertEquals(extents(TABLE), saved.tensor("wte.exp_avg").shape());
                assertArrayEquals(new float[] {2}, saved.tensor("wte.step").toFloats());
                for (String key : List.of("mlp.up.momentum_buffer", "wte.exp_avg", "wte.exp_avg_sq")) {
                    int dot = key.lastIndexOf('.');
                    assertArrayEquals(
                            run.values(key.substring(0, dot), key.substring(dot + 1)),
                            saved.tensor(key).toFloats(),
                            key);
                }
            }
        }
    }

    /** A checkpoint of Muonium's own with FP32 state and master weights is in torch's names, flat. */
    @Test
    void ourOwnFp32CheckpointIsReadAsWell() {
        try (Run first = new Run(StateFormat.FP32, 128, ElementType.BF16);
                Run second = new Run(StateFormat.INT8, 128, ElementType.BF16)) {
            first.step(1);
            Path file = folder.resolve("own.safetensors");
            List<CheckpointPart> parts =
                    new TrainingState(device).optimizer(first.optimizer).parts();
            CheckpointPart part = parts.stream()
                    .filter(each -> each.name().equals(CheckpointPart.OPTIMIZER))
                    .findFirst()
                    .orElseThrow();
            SafetensorsWriter.write(file, part.metadata(), part.tensors());

            new ForeignState(device, second.optimizer).load(file);

            assertEquals(1, second.optimizer.steps());
            assertArrayEquals(first.values("wte", "master_weights"), second.values("wte", "master_weights"));
            float[] expected = first.values("wte", "exp_avg");
            float[] actual = second.values("wte", "exp_avg");
            for (int i = 0; i < expected.length; i++) {
                assertEquals(expected[i], actual[i], 0.01f);
            }
        }
    }

    /** No other framework's state has them. */
    @Test
    void masterWeightsStayWhereAFileHasNone() {
        try (Run run = new Run(StateFormat.INT8, 128, ElementType.BF16)) {
            run.step(1);
            float[] master = run.values("mlp.up", "master_weights");

            load(run, torch());

            assertArrayEquals(master, run.values("mlp.up", "master_weights"));
            assertTrue(absmax(master, 0, master.length) > 0);
        }
    }

    // --- what is refused

    private void refuses(String sentence, UnaryOperator<Map<String, StoredTensor>> change) {
        refuses(torch(), sentence, change);
    }

    private void refuses(
            Map<String, StoredTensor> tensors, String sentence, UnaryOperator<Map<String, StoredTensor>> change) {
        try (Run run = run(StateFormat.INT8, 256)) {
            run.step(1);
            byte[] before = run.codes("mlp.up", "momentum_buffer");
            byte[] v = run.codes("norm", "exp_avg_sq");
            Map<String, StoredTensor> changed = change.apply(tensors);

            CheckpointException failure = assertThrows(CheckpointException.class, () -> load(run, changed));

            String file = "'" + folder.resolve("optimizer.safetensors") + "'";
            assertEquals(sentence.replace("FILE", file), failure.getMessage());
            assertArrayEquals(before, run.codes("mlp.up", "momentum_buffer"));
            assertArrayEquals(v, run.codes("norm", "exp_avg_sq"));
            assertEquals(1, run.optimizer.steps());
        }
    }

    private static UnaryOperator<Map<String, StoredTensor>> with(StoredTensor tensor) {
        return map -> {
            put(map, tensor);
            return map;
        };
    }

    private static UnaryOperator<Map<String, StoredTensor>> without(String... names) {
        return map -> {
            List.of(names).forEach(map::remove);
            return map;
        };
    }

    @Test
    void refusesAFileWithoutAParameter() {
        refuses(
                "FILE has no state of parameter 'mlp.up': there is no 'mlp.up.momentum_buffer'",
                without("mlp.up.momentum_buffer"));
        refuses(
                "FILE has no state of parameter 'wte': there is neither 'wte.exp_avg' nor 'wte.state1'",
                without("wte.exp_avg"));
        refuses("FILE has no 'norm.step', which AdamW's bias correction needs", without("norm.step"));
        refuses(
                bitsandbytes(256),
                "FILE has no state of parameter 'wte': there is no 'wte.absmax2'",
                without("wte.absmax2"));
        refuses(
                bitsandbytes(256),
                "FILE has no state of parameter 'wte': there is no 'wte.qmap1'",
                without("wte.qmap1"));
    }

    @Test
    void refusesAnotherShapeOrType() {
        refuses(
                "'mlp.up.momentum_buffer' of FILE has the shape [130, 48], and parameter 'mlp.up' is [48, 130] here",
                with(floats("mlp.up.momentum_buffer", List.of(130L, 48L), noise(MATRIX, false))));
        refuses(
                "'norm.exp_avg' of FILE has the shape [3], and parameter 'norm' is [77] here",
                with(floats("norm.exp_avg", List.of(3L), 1, 2, 3)));
        refuses(
                "'norm.exp_avg' of FILE is U8; it must be F32 or BF16",
                with(bytes("norm.exp_avg", List.of(77L), new byte[77])));
        refuses(
                bitsandbytes(256),
                "'wte.absmax1' of FILE has 6 elements for 4480 codes; blocks of 64 to 2048 elements, powers of two,"
                        + " are known (bitsandbytes: 256, or 2048)",
                with(floats("wte.absmax1", List.of(6L), 1, 1, 1, 1, 1, 1)));
    }

    @Test
    void refusesWhatItDoesNotKnow() {
        refuses(
                "FILE has 'wte.max_exp_avg_sq', a key of state that parameter 'wte' does not have here",
                with(floats("wte.max_exp_avg_sq", extents(TABLE), noise(TABLE, true))));
        refuses(
                "FILE has 'lm_head.exp_avg', but there is no parameter 'lm_head' here",
                with(floats("lm_head.exp_avg", List.of(1L), 1)));
    }

    @Test
    void refusesAnotherMap() {
        float[] map = qmap(1);
        map[200] *= 1.01f;
        refuses(
                bitsandbytes(256),
                "'wte.qmap1' of FILE is another map than INT8_DYNAMIC_SIGNED's: code 200 stands for " + map[200]
                        + " there and for " + qmap(1)[200] + " here",
                with(floats("wte.qmap1", List.of(256L), map)));
        refuses(
                bitsandbytes(256),
                "'wte.qmap2' of FILE has 16 elements; a map has 256",
                with(floats("wte.qmap2", List.of(16L), new float[16])));
    }

    @Test
    void refusesStepCountsThatDisagreeOrAreNone() {
        refuses(
                "the step counts disagree: parameter 'wte' has taken 1000 and 'norm' 400; say how many the run has"
                        + " taken",
                with(floats("norm.step", List.of(), 400)));
        refuses(
                "'norm.step' of FILE is 3.5; it must be a whole number that is not negative",
                with(floats("norm.step", List.of(), 3.5f)));
        refuses(
                "'norm.step' of FILE is F32 [2]; it must be one number, F32, F64, I32 or I64",
                with(floats("norm.step", List.of(2L), 1, 2)));
        refuses(
                "'norm.step' of FILE is NaN; it must be a whole number that is not negative",
                with(floats("norm.step", List.of(), Float.NaN)));
        try (Run run = run(StateFormat.FP32, 128)) {
            ForeignState state = new ForeignState(device, run.optimizer);
            assertEquals(
                    "parameter 'wte' has taken 1000 steps by its file, more than the 10 of the run",
                    assertThrows(CheckpointException.class, () -> state.load(10, write(torch())))
                            .getMessage());
            assertThrows(IllegalArgumentException.class, () -> state.load(-1, write(torch())));
            assertThrows(IllegalArgumentException.class, state::load);
        }
    }

    @Test
    void refusesWhatIsNotFinite() {
        float[] values = noise(MATRIX, false);
        values[100] = Float.NaN;
        refuses(
                "'mlp.up.momentum_buffer' of FILE holds NaN at 100; it must be finite",
                with(floats("mlp.up.momentum_buffer", extents(MATRIX), values)));
        float[] v = noise(VECTOR, true);
        v[5] = -1;
        refuses(
                "'norm.exp_avg_sq' of FILE holds -1.0 at 5; it must be finite and not negative",
                with(floats("norm.exp_avg_sq", extents(VECTOR), v)));
        Map<String, StoredTensor> bnb = bitsandbytes(256);
        float[] absmax = bnb.get("wte.absmax1").toFloats();
        absmax[3] = Float.POSITIVE_INFINITY;
        refuses(
                bnb,
                "'wte.absmax1' of FILE holds Infinity at 3; it must be finite and not negative",
                with(floats("wte.absmax1", List.of((long) absmax.length), absmax)));
    }
}
