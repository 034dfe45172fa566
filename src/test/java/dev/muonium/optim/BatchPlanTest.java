package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.muonium.optim.BatchPlan.Batch;
import dev.muonium.optim.BatchPlan.Item;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class BatchPlanTest {
    private static final long NO_CAP = Long.MAX_VALUE;

    /** Arrays of 10 bytes for each letter of the key. */
    private static BatchPlan<String> plan(long cap, String... keys) {
        List<Item<String>> items = new ArrayList<>();
        for (String key : keys) {
            items.add(new Item<>(key, 10L * key.length()));
        }
        return BatchPlan.of(items, cap);
    }

    @Test
    void equalKeysAreTogetherInTheOrderOfTheirFirst() {
        BatchPlan<String> plan = plan(NO_CAP, "bb", "a", "bb", "ccc", "a", "bb");
        assertEquals(
                List.of(
                        new Batch<>("bb", List.of(0, 2, 5), 60),
                        new Batch<>("a", List.of(1, 4), 20),
                        new Batch<>("ccc", List.of(3), 30)),
                plan.batches());
        assertEquals(60, plan.workspaceBytes());
    }

    @Test
    void theCapSplitsABatchIntoTheFewestPartsOfNearlyEqualSize() {
        BatchPlan<String> plan = plan(39, "a", "a", "a", "a", "a", "a", "a");
        assertEquals(
                List.of(List.of(0, 1), List.of(2, 3), List.of(4, 5, 6)),
                plan.batches().stream().map(Batch::members).toList());
        assertEquals(30, plan.workspaceBytes());
    }

    @Test
    void whatFitsExactlyIsNotSplit() {
        assertEquals(1, plan(30, "a", "a", "a").batches().size());
        assertEquals(2, plan(29, "a", "a", "a").batches().size());
    }

    @Test
    void anArrayLargerThanTheCapIsAlone() {
        BatchPlan<String> plan = plan(15, "aaaa", "b", "aaaa");
        assertEquals(
                List.of(
                        new Batch<>("aaaa", List.of(0), 40),
                        new Batch<>("aaaa", List.of(2), 40),
                        new Batch<>("b", List.of(1), 10)),
                plan.batches());
        assertEquals(40, plan.workspaceBytes());
        assertEquals(3, plan(0, "aaaa", "b", "aaaa").batches().size());
    }

    @Test
    void arraysWithoutAWorkspaceAreTogetherWhateverTheCap() {
        BatchPlan<String> plan = BatchPlan.of(List.of(new Item<>("a", 0), new Item<>("b", 0), new Item<>("a", 0)), 0);
        assertEquals(2, plan.batches().size());
        assertEquals(0, plan.workspaceBytes());
    }

    @Test
    void nothingNeedsNothing() {
        BatchPlan<String> plan = plan(NO_CAP);
        assertEquals(List.of(), plan.batches());
        assertEquals(0, plan.workspaceBytes());
    }
}
