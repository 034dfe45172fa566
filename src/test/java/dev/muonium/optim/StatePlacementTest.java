package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.MuoniumException;
import dev.muonium.device.CpuDevice;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** State in a file: the same bits, little memory, nothing left behind. */
class StatePlacementTest {
    @TempDir
    private Path folder;

    /** Three matrices of different sizes and an embedding that many chunks cover, stepped with changing gradients. */
    private List<byte[]> trajectory(StatePlacement placement, StateFormat format, int threads) throws IOException {
        List<byte[]> bits = new ArrayList<>();
        try (Device device = Device.cpu(threads);
                Optimizer optimizer = Optimizer.builder(device)
                        .group(Muon.defaults().state(format))
                        .group(AdamW.defaults().state(format))
                        .clipGlobalNorm(1)
                        .statePlacement(placement)
                        .build()) {
            List<Tensor> tensors = new ArrayList<>();
            long[][] shapes = {{70, 200}, {256, 96}, {128, 128}, {3000, 130}};
            Random random = new Random(5);
            for (int i = 0; i < shapes.length; i++) {
                Tensor weights = device.allocate(Purpose.WEIGHTS, "w" + i, ElementType.F32, Shape.of(shapes[i]));
                Tensor gradient = device.allocate(Purpose.GRADIENTS, "g" + i, ElementType.F32, Shape.of(shapes[i]));
                tensors.addAll(List.of(weights, gradient));
                ParameterKind kind = i == 3 ? ParameterKind.EMBEDDING : ParameterKind.MATRIX;
                optimizer.add(Parameter.of(kind, weights, gradient));
            }
            for (int step = 0; step < 4; step++) {
                for (int i = 1; i < tensors.size(); i += 2) {
                    for (int e = 0; e < tensors.get(i).elements(); e++) {
                        tensors.get(i).setFloat(e, (float) random.nextGaussian());
                    }
                }
                if (step == 2) {
                    tensors.get(1).setFloat(7, Float.NaN);
                }
                assertEquals(step != 2, optimizer.step().taken());
            }
            ParameterState kept = optimizer.state("w0");
            optimizer.restore("w0", kept);
            for (Parameter parameter : optimizer.parameters()) {
                bits.add(bytes(parameter.weights(), 4 * parameter.shape().elements()));
                for (StateTensor state : optimizer.state(parameter.name()).tensors()) {
                    bits.add(bytes(state.codes(), state.codes().byteSize()));
                }
            }
            boolean isInFile = placement instanceof StatePlacement.InFile;
            assertEquals(isInFile, device.ledger().bytes(Purpose.OFFLOADED_STATE) > 0);
            assertEquals(isInFile, device.ledger().bytes(Purpose.OPTIMIZER_STATE) == 0);
            long all = device.ledger().bytes(Purpose.OFFLOADED_STATE);
            optimizer.remove("w1");
            assertEquals(isInFile, device.ledger().bytes(Purpose.OFFLOADED_STATE) < all);
            tensors.forEach(Tensor::close);
        }
        try (Stream<Path> left = Files.list(folder)) {
            assertEquals(0, left.count(), "the file has no name");
        }
        return bits;
    }

    private static byte[] bytes(MemorySegment segment, long size) {
        byte[] bytes = new byte[(int) size];
        MemorySegment.copy(segment, java.lang.foreign.ValueLayout.JAVA_BYTE, 0, bytes, 0, bytes.length);
        return bytes;
    }

    @ParameterizedTest
    @EnumSource(StateFormat.class)
    void stateInAFileGivesTheSameBits(StateFormat format) throws IOException {
        List<byte[]> expected = trajectory(StatePlacement.device(), format, 2);
        for (int threads = 1; threads <= 3; threads++) {
            List<byte[]> bits = trajectory(StatePlacement.file(folder), format, threads);
            assertEquals(expected.size(), bits.size());
            for (int i = 0; i < bits.size(); i++) {
                assertArrayEquals(expected.get(i), bits.get(i));
            }
        }
    }

    /** 256 MiB of moments, of which a step leaves little in the process. */
    @Test
    void usedStateLeavesTheProcess() throws IOException {
        assumeTrue(Files.exists(Path.of("/proc/self/status")), "the system does not tell what is in the memory");
        long elements = 1 << 25;
        try (CpuDevice device = Device.cpu(2);
                Tensor weights = device.allocate(Purpose.WEIGHTS, "w", ElementType.F32, Shape.of(elements));
                Tensor gradient = device.allocate(Purpose.GRADIENTS, "g", ElementType.F32, Shape.of(elements));
                Optimizer optimizer = Optimizer.builder(device)
                        .group(AdamW.defaults().state(StateFormat.FP32))
                        .statePlacement(StatePlacement.file(folder))
                        .build()) {
            long before = residentFileBytes();
            optimizer.add(Parameter.of(ParameterKind.VECTOR, weights, gradient));
            assertEquals(8 * elements, device.ledger().bytes(Purpose.OFFLOADED_STATE));
            optimizer.step();
            optimizer.flushState();
            long grown = residentFileBytes() - before;
            assertTrue(grown < StateFile.WINDOW, () -> grown + " bytes of files more are in the process");
        }
    }

    private static long residentFileBytes() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("RssFile:")) {
                return 1024 * Long.parseLong(line.replaceAll("\\D", ""));
            }
        }
        throw new IOException("no RssFile");
    }

    @Test
    void aFolderThatCannotBeUsedIsNamed() throws IOException {
        try (Device device = Device.cpu(1)) {
            Path none = folder.resolve("none");
            assertEquals(
                    "no file for optimizer state can be made in '" + none + "': there is no such folder",
                    assertThrows(
                                    MuoniumException.class,
                                    () -> builder(device, StatePlacement.file(none))
                                            .build())
                            .getMessage());
            assertThrows(
                    MuoniumException.class,
                    () -> builder(device, StatePlacement.file(Path.of("/proc"))).build());
            assertEquals(
                    "optimizer state in memory of the host is for a GPU; the memory of " + device.describe()
                            + " is the host's already, so keep the state on the device or in a file",
                    assertThrows(
                                    IllegalArgumentException.class,
                                    () -> builder(device, StatePlacement.host()).build())
                            .getMessage());
        }
    }

    private static Optimizer.Builder builder(Device device, StatePlacement placement) {
        return Optimizer.builder(device).group(AdamW.defaults()).statePlacement(placement);
    }
}
