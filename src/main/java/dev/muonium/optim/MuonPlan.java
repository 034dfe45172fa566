package dev.muonium.optim;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Which matrices are worked on together and which alone.
 *
 * <p>A <em>shared</em> matrix has all workers: they divide its stages among them. The other matrices are divided among
 * <em>lanes</em>: each is worked on by one lane from beginning to end, the costliest first, which has less overhead. A matrix is
 * shared when leaving it to a lane would keep the other lanes waiting, or when the lanes' workspaces would exceed the cap. The
 * results are the same either way.
 *
 * @param shared matrices that all workers divide among them, the costliest first
 * @param laned matrices for lanes, the costliest first
 * @param lanes the number of lanes, 0 if no matrix is for them
 * @param laneBytes workspace of each lane
 * @param workspaceBytes workspace of everything
 */
record MuonPlan(List<Item> shared, List<Item> laned, int lanes, long laneBytes, long workspaceBytes) {
    /** Up to this much longer than with perfectly divided work, lanes are preferred: stages of a shared matrix are barriers. */
    private static final double TOLERANCE = 1.1;

    /**
     * A matrix to plan for.
     *
     * @param index which one
     * @param cost its work, in any unit
     * @param bytes its workspace
     */
    record Item(int index, double cost, long bytes) {}

    /**
     * @param workers how many workers there are
     * @param cap the most bytes that lanes may have together; one matrix alone may exceed it
     */
    static MuonPlan of(List<Item> items, int workers, long cap) {
        List<Item> laned = new ArrayList<>(items);
        laned.sort(Comparator.comparingDouble(Item::cost).reversed().thenComparingInt(Item::index));
        List<Item> shared = new ArrayList<>();
        while (workers > 1 && !laned.isEmpty()) {
            int lanes = lanes(laned, workers, cap);
            if (makespan(laned, lanes) <= TOLERANCE * total(laned) / workers) {
                break;
            }
            shared.add(laned.removeFirst());
        }
        int lanes = laned.isEmpty() ? 0 : lanes(laned, workers, cap);
        long laneBytes = largest(laned);
        return new MuonPlan(
                List.copyOf(shared),
                List.copyOf(laned),
                lanes,
                laneBytes,
                Math.max(largest(shared), lanes * laneBytes));
    }

    private static int lanes(List<Item> items, int workers, long cap) {
        long affordable = Math.max(1, cap / Math.max(1, largest(items)));
        return (int) Math.min(Math.min(workers, items.size()), affordable);
    }

    private static long largest(List<Item> items) {
        return items.stream().mapToLong(Item::bytes).max().orElse(0);
    }

    private static double total(List<Item> items) {
        return items.stream().mapToDouble(Item::cost).sum();
    }

    /** How long the busiest lane works if each matrix, in order, goes to the lane that is free first. */
    private static double makespan(List<Item> items, int lanes) {
        double[] busy = new double[lanes];
        for (Item item : items) {
            int next = 0;
            for (int lane = 1; lane < lanes; lane++) {
                next = busy[lane] < busy[next] ? lane : next;
            }
            busy[next] += item.cost();
        }
        double longest = 0;
        for (double time : busy) {
            longest = Math.max(longest, time);
        }
        return longest;
    }
}
