package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.memory.BlockFormat;
import dev.muonium.optim.StateLoads.Arrays;
import dev.muonium.optim.StateLoads.Load;
import dev.muonium.optim.StateLoads.Part;
import java.util.List;
import org.junit.jupiter.api.Test;

class StateLoadsTest {
    private static final int CHUNK = 16384;

    private static Arrays fp32(long elements) {
        return new Arrays(elements, List.of(BlockFormat.F32), 128);
    }

    private static Arrays int8(long elements) {
        return new Arrays(elements, List.of(BlockFormat.INT8_DYNAMIC_SIGNED, BlockFormat.INT8_DYNAMIC_UNSIGNED), 128);
    }

    @Test
    void residentStateIsOneLoadForEachBatch() {
        StateLoads loads = StateLoads.resident(List.of(List.of(fp32(100), fp32(100)), List.of(int8(1 << 30))));
        assertEquals(2, loads.count());
        assertEquals(0, loads.stagingBytes());
        assertEquals(
                List.of(2, 1),
                loads.batches().stream()
                        .map(batch -> batch.getFirst().parts().size())
                        .toList());
    }

    @Test
    void wholeArraysShareALoadWhileTheyFit() {
        StateLoads loads = StateLoads.staged(List.of(List.of(fp32(100), fp32(100), fp32(100))), 8 * 1024);
        assertEquals(
                List.of(
                        new Load(0, List.of(new Part(0, 0, 100, 0), new Part(1, 0, 100, 512)), 1024),
                        new Load(1, List.of(new Part(2, 0, 100, 0)), 512)),
                loads.batches().getFirst());
        assertEquals(2, loads.places());
        assertEquals(1024, loads.placeBytes());
    }

    @Test
    void whatDoesNotFitIsCutAtChunksAndItsRestShares() {
        long chunk = 4 * CHUNK;
        StateLoads loads = StateLoads.staged(List.of(List.of(fp32(5 * CHUNK + 7), fp32(9))), 8 * 2 * chunk);
        List<Load> cut = loads.batches().getFirst();
        assertEquals(3, cut.size());
        assertEquals(List.of(new Part(0, 0, 2 * CHUNK, 0)), cut.get(0).parts());
        assertEquals(List.of(new Part(0, 2 * CHUNK, 4 * CHUNK, 0)), cut.get(1).parts());
        assertEquals(
                List.of(new Part(0, 4 * CHUNK, 5 * CHUNK + 7, 0), new Part(1, 0, 9, chunk + 256)),
                cut.get(2).parts());
        assertEquals(5 * CHUNK + 7 + 9, elements(cut));
    }

    @Test
    void aChunkThatDoesNotFitIsBroughtNevertheless() {
        StateLoads loads = StateLoads.staged(List.of(List.of(int8(3 * CHUNK))), 0);
        assertEquals(3, loads.count());
        assertEquals(2 * (CHUNK + CHUNK / 32), loads.placeBytes());
        assertEquals(3 * CHUNK, elements(loads.batches().getFirst()));
    }

    /** The largest model's table: two moments of FP32, 1 GiB, through 128 MiB. */
    @Test
    void theCapHoldsAndTheNumbersGoOn() {
        Arrays table = new Arrays(50257L * 2560, List.of(BlockFormat.F32, BlockFormat.F32), 128);
        StateLoads loads = StateLoads.staged(List.of(List.of(table), List.of(table, fp32(3))), StateLoads.CAP);
        assertTrue(loads.stagingBytes() <= StateLoads.CAP);
        assertEquals(StateLoads.MOST_PLACES, loads.places());
        int number = 0;
        for (List<Load> batch : loads.batches()) {
            for (Load load : batch) {
                assertEquals(number++, load.number());
                assertTrue(load.bytes() <= loads.placeBytes());
            }
        }
        assertEquals(
                2 * 50257L * 2560 + 3,
                elements(loads.batches().get(0)) + elements(loads.batches().get(1)));
    }

    private static long elements(List<Load> loads) {
        return loads.stream()
                .flatMap(load -> load.parts().stream())
                .mapToLong(part -> part.end() - part.begin())
                .sum();
    }
}
