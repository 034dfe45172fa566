package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.MuoniumException;
import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;
import dev.muonium.device.Emulator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.ortho.CoefficientSchedule;
import dev.muonium.ortho.NewtonSchulz;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** State that the host keeps for a GPU: the same bits as on the GPU, whatever happens to a step. */
@CudaTest
class OffloadCudaTest {
    @TempDir
    private Path folder;

    /** Places so small that arrays are cut, and that each is filled several times in a step. */
    private static long cap(StateFormat format) {
        return StateLoads.MOST_PLACES * (format == StateFormat.FP32 ? 40_000L : 12_000L);
    }

    private static Model model(Device device, ElementType type) {
        return Model.small(device, type)
                .with("attn2", ParameterKind.MATRIX, Shape.of(96, 96))
                .with("attn3", ParameterKind.MATRIX, Shape.of(96, 96))
                .with("wide", ParameterKind.MATRIX, Shape.of(160, 200))
                .with("experts", ParameterKind.STACK, Shape.of(2, 96, 96))
                .with("qkv", ParameterKind.MATRIX, Shape.of(210, 111), p -> p.splitRows(110, 50, 50))
                .with("table", ParameterKind.EMBEDDING, Shape.of(1000, 64));
    }

    private static Optimizer.Builder builder(
            Device device, StatePlacement placement, StateFormat format, WeightRounding rounding) {
        return Optimizer.builder(device)
                // Where state is has nothing to do with how many steps the iteration has, and an emulated device takes
                // long for each.
                .group(Muon.defaults()
                        .state(format)
                        .newtonSchulz(NewtonSchulz.defaults().schedule(CoefficientSchedule.polarExpress(1))))
                .group(AdamW.defaults().state(format))
                .clipGlobalNorm(1)
                .seed(7)
                .weightRounding(rounding)
                .schedule(Schedule.cosine(2, 10, 100, 0.1))
                .statePlacement(placement)
                .stagingCap(cap(format));
    }

    /** Seven steps: plain, recorded, one that is left out, gradients at other addresses, a frozen parameter, and a state that was put back. */
    private Map<String, byte[]> trajectory(
            StatePlacement placement, StateFormat format, ElementType type, WeightRounding rounding) {
        boolean offloaded = !(placement instanceof StatePlacement.OnDevice);
        try (Device device = Device.cuda();
                Model model = model(device, type);
                Tensor elsewhere = device.allocate(Purpose.GRADIENTS, "elsewhere", type, Shape.of(96, 96));
                Optimizer optimizer =
                        builder(device, placement, format, rounding).build()) {
            optimizer.addAll(model.parameters());
            assertEquals(offloaded, device.ledger().bytes(Purpose.OFFLOADED_STATE) > 0);
            assertEquals(offloaded, device.ledger().bytes(Purpose.OPTIMIZER_STATE) == 0);
            model.newGradients();
            assertTrue(optimizer.step(0.5).taken());
            long allocations = device.ledger().allocations();
            model.newGradients();
            assertTrue(optimizer.step().clipFactor() < 1);
            model.newGradients();
            Map<String, byte[]> before = bits(device, model, optimizer);
            model.gradient("wte").setFloat(7, Float.NaN);
            assertEquals("wte", optimizer.step().nonFiniteParameter());
            assertSame(before, bits(device, model, optimizer));
            elsewhere.copyFrom(model.newGradients().gradient("attn2").toFloatArray());
            model.gradient("attn2").copyFrom(new float[96 * 96]);
            model.parameter("attn2").gradient(elsewhere.segment(), type);
            assertTrue(optimizer.step(0.25).taken());
            assertEquals(allocations, device.ledger().allocations());
            model.parameter("attn").frozen(true);
            model.newGradients();
            assertTrue(optimizer.step().taken());
            model.parameter("attn").frozen(false);
            ParameterState kept = optimizer.state("wide");
            model.newGradients();
            assertTrue(optimizer.step().taken());
            optimizer.restore("attn3", optimizer.state("attn2"));
            optimizer.restore("wide", kept);
            model.newGradients();
            assertTrue(optimizer.step().taken());
            return bits(device, model, optimizer);
        }
    }

    private static Map<String, byte[]> bits(Device device, Model model, Optimizer optimizer) {
        Map<String, byte[]> bits = new LinkedHashMap<>();
        for (Parameter parameter : model.parameters()) {
            String name = parameter.name();
            Tensor weight = model.weight(name);
            MemorySegment host = MemorySegment.ofArray(new byte[(int) weight.byteSize()]);
            device.memory().copyOut(weight.segment(), 0, host, 0, weight.byteSize());
            bits.put(name, host.toArray(ValueLayout.JAVA_BYTE));
            for (StateTensor state : optimizer.state(name).tensors()) {
                bits.put(name + "." + state.name(), state.codes().toArray(ValueLayout.JAVA_BYTE));
                MemorySegment scales = state.scales();
                if (scales != null) {
                    bits.put(name + "." + state.name() + ".scales", scales.toArray(ValueLayout.JAVA_BYTE));
                }
            }
        }
        return bits;
    }

    private static void assertSame(Map<String, byte[]> expected, Map<String, byte[]> actual) {
        assertEquals(expected.keySet(), actual.keySet());
        expected.forEach((name, bytes) -> assertArrayEquals(bytes, actual.get(name), name));
    }

    @ParameterizedTest
    @EnumSource
    void theSameBitsAsOnTheDevice(StateFormat format) throws IOException {
        Map<String, byte[]> expected =
                trajectory(StatePlacement.device(), format, ElementType.F32, WeightRounding.STOCHASTIC);
        assertSame(expected, trajectory(StatePlacement.host(), format, ElementType.F32, WeightRounding.STOCHASTIC));
        assertSame(
                expected, trajectory(StatePlacement.file(folder), format, ElementType.F32, WeightRounding.STOCHASTIC));
        try (Stream<Path> left = Files.list(folder)) {
            assertEquals(0, left.count(), "the file has no name");
        }
    }

    /** The other tests have copies run as late as events let them; a copy that lacks an event goes wrong in one of the two. */
    @Test
    void theSameBitsWhenCopiesRunAsEarlyAsTheyCan() {
        assumeTrue(Emulator.isUsed(), "a GPU's streams run as they like");
        Map<String, byte[]> expected =
                trajectory(StatePlacement.device(), StateFormat.INT8, ElementType.F32, WeightRounding.STOCHASTIC);
        Emulator.runAhead(true);
        try {
            for (StatePlacement placement : List.of(StatePlacement.host(), StatePlacement.file(folder))) {
                assertSame(
                        expected, trajectory(placement, StateFormat.INT8, ElementType.F32, WeightRounding.STOCHASTIC));
            }
        } finally {
            Emulator.runAhead(false);
        }
    }

    /** The key of an element's rounding is its number in the whole array, however that is cut. */
    @ParameterizedTest
    @EnumSource
    void theSameBitsWithBf16Weights(WeightRounding rounding) {
        assertSame(
                trajectory(StatePlacement.device(), StateFormat.INT8, ElementType.BF16, rounding),
                trajectory(StatePlacement.host(), StateFormat.INT8, ElementType.BF16, rounding));
    }

    @Test
    void thePlacesAreInTheLedgerAndAsPlanned() {
        for (StatePlacement placement : new StatePlacement[] {StatePlacement.host(), StatePlacement.file(folder)}) {
            long resident = workspace(StatePlacement.device());
            long places = workspace(placement) - resident;
            assertTrue(places > 0);
            try (Device device = Device.cuda();
                    Model model = split(device)) {
                long planned = OptimizerMemory.stagingBytes(
                        model.parameters().stream()
                                .map(parameter -> new OptimizerMemory.Planned(
                                        parameter.kind().isForMuon()
                                                ? Muon.defaults().state(StateFormat.INT8)
                                                : AdamW.defaults().state(StateFormat.INT8),
                                        parameter.shape(),
                                        parameter.matrices()))
                                .toList(),
                        ElementType.BF16,
                        Optimizer.Builder.DEFAULT_WORKSPACE_CAP);
                assertEquals(planned * (placement instanceof StatePlacement.InFile ? 2 : 1), places);
            }
        }
    }

    private static Model split(Device device) {
        return Model.small(device, ElementType.F32)
                .with("experts", ParameterKind.STACK, Shape.of(3, 30, 40))
                .with("qkv", ParameterKind.MATRIX, Shape.of(210, 111), p -> p.splitRows(110, 50, 50));
    }

    private static long workspace(StatePlacement placement) {
        try (Device device = Device.cuda();
                Model model = split(device).newGradients();
                Optimizer optimizer = Optimizer.builder(device)
                        .group(Muon.defaults().state(StateFormat.INT8))
                        .group(AdamW.defaults().state(StateFormat.INT8))
                        .statePlacement(placement)
                        .build()) {
            optimizer.addAll(model.parameters());
            optimizer.step();
            return device.ledger().bytes(Purpose.OPTIMIZER_WORKSPACE);
        }
    }

    @Test
    void aFolderThatCannotBeUsedIsNamed() {
        Path none = folder.resolve("none");
        try (Device device = Device.cuda()) {
            Optimizer.Builder builder = Optimizer.builder(device).group(AdamW.defaults());
            assertEquals(
                    "no file for optimizer state can be made in '" + none + "': there is no such folder",
                    assertThrows(
                                    MuoniumException.class,
                                    () -> builder.statePlacement(StatePlacement.file(none))
                                            .build())
                            .getMessage());
            assertThrows(
                    MuoniumException.class,
                    () -> builder.statePlacement(StatePlacement.file(Path.of("/proc")))
                            .build());
        }
    }

    /** As a disk does that loses a page: the step ends in a sentence, not in a crash, and so does every later one. */
    @Test
    void aFileThatIsTruncatedBelowEndsTheStepInASentence() throws IOException {
        try (Device device = Device.cuda();
                Model model = Model.small(device, ElementType.F32).newGradients();
                Optimizer optimizer = builder(
                                device, StatePlacement.file(folder), StateFormat.INT8, WeightRounding.STOCHASTIC)
                        .build()) {
            optimizer.addAll(model.parameters());
            optimizer.step();
            truncate(openFile());
            for (int attempt = 0; attempt < 2; attempt++) {
                String message =
                        assertThrows(MuoniumException.class, optimizer::step).getMessage();
                assertTrue(
                        message.startsWith("optimizer state in a file in '" + folder + "' cannot be read or written: "),
                        message);
            }
        }
    }

    /** The file has no name any more; the process's own link to it is left. */
    private Path openFile() throws IOException {
        try (Stream<Path> links = Files.list(Path.of("/proc/self/fd"))) {
            return links.filter(this::isStateFile).findFirst().orElseThrow();
        }
    }

    private boolean isStateFile(Path link) {
        try {
            return Files.readSymbolicLink(link).toString().startsWith(folder + "/muonium-");
        } catch (IOException e) {
            return false; // closed since
        }
    }

    private static void truncate(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.truncate(0);
        }
    }
}
