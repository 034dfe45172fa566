package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.muonium.optim.MuonPlan.Item;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class MuonPlanTest {
    private static final long NO_CAP = Long.MAX_VALUE;

    private static List<Item> items(double... costs) {
        List<Item> items = new ArrayList<>();
        for (int i = 0; i < costs.length; i++) {
            items.add(new Item(i, costs[i], 10 * (long) costs[i]));
        }
        return items;
    }

    private static List<Integer> indices(List<Item> items) {
        return items.stream().map(Item::index).toList();
    }

    @Test
    void manyMatricesGoToLanesTheCostliestFirst() {
        MuonPlan plan = MuonPlan.of(items(1, 4, 1, 4, 1, 1), 2, NO_CAP);
        assertEquals(List.of(), plan.shared());
        assertEquals(List.of(1, 3, 0, 2, 4, 5), indices(plan.laned()));
        assertEquals(2, plan.lanes());
        assertEquals(40, plan.laneBytes());
        assertEquals(80, plan.workspaceBytes());
    }

    @Test
    void aDominatingMatrixIsSharedAndTheRestGoesToLanes() {
        MuonPlan plan = MuonPlan.of(items(1, 100, 1, 1, 1), 2, NO_CAP);
        assertEquals(List.of(1), indices(plan.shared()));
        assertEquals(List.of(0, 2, 3, 4), indices(plan.laned()));
        assertEquals(1000, plan.workspaceBytes());
    }

    @Test
    void anOddOneOutIsSharedSoThatNoLaneWaits() {
        MuonPlan plan = MuonPlan.of(items(5, 5, 5), 2, NO_CAP);
        assertEquals(1, plan.shared().size());
        assertEquals(2, plan.laned().size());
    }

    @Test
    void fewerMatricesThanWorkersAreAllShared() {
        assertEquals(List.of(0, 1), indices(MuonPlan.of(items(5, 5), 8, NO_CAP).shared()));
    }

    @Test
    void oneWorkerHasOneLaneWithEverything() {
        MuonPlan plan = MuonPlan.of(items(3, 9, 1), 1, NO_CAP);
        assertEquals(List.of(1, 0, 2), indices(plan.laned()));
        assertEquals(1, plan.lanes());
        assertEquals(90, plan.workspaceBytes());
    }

    @Test
    void theCapLimitsLanesAndNeverStarvesAMatrix() {
        MuonPlan plan = MuonPlan.of(items(8, 8, 8, 8, 1, 1, 1, 1), 4, 40);
        assertEquals(List.of(0, 1, 2, 3), indices(plan.shared()), "only one of them fits into the cap at a time");
        assertEquals(4, plan.lanes());
        assertEquals(80, plan.workspaceBytes());
    }

    @Test
    void nothingNeedsNothing() {
        MuonPlan plan = MuonPlan.of(List.of(), 4, NO_CAP);
        assertEquals(0, plan.lanes());
        assertEquals(0, plan.workspaceBytes());
    }
}
