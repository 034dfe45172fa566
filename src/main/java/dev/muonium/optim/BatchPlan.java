package dev.muonium.optim;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Which arrays are worked on together: those with the same key, as many as the cap of the workspace allows. Batches run one after
 * another in one workspace. The results do not depend on how many are in a batch.
 *
 * @param batches in the order in which their keys first appeared
 * @param workspaceBytes workspace of the largest batch
 */
record BatchPlan<K>(List<Batch<K>> batches, long workspaceBytes) {
    /**
     * An array to plan for.
     *
     * @param key what arrays of a batch have in common; the same key has the same bytes
     * @param bytes its workspace
     */
    record Item<K>(K key, long bytes) {}

    /**
     * Arrays that are worked on together.
     *
     * @param members their numbers in the list that was planned for, ascending
     * @param bytes workspace of all of them
     */
    record Batch<K>(K key, List<Integer> members, long bytes) {}

    /**
     * Plans.
     *
     * @param cap the most bytes of a batch; one array alone may exceed it
     */
    static <K> BatchPlan<K> of(List<Item<K>> items, long cap) {
        Map<K, List<Integer>> groups = new LinkedHashMap<>();
        for (int i = 0; i < items.size(); i++) {
            groups.computeIfAbsent(items.get(i).key(), key -> new ArrayList<>()).add(i);
        }
        List<Batch<K>> batches = new ArrayList<>();
        groups.forEach((key, members) ->
                split(batches, key, members, items.get(members.getFirst()).bytes(), cap));
        return new BatchPlan<>(
                List.copyOf(batches),
                batches.stream().mapToLong(Batch::bytes).max().orElse(0));
    }

    /** Into the fewest batches within the cap, whose sizes differ by one at most: a last batch of one would be a GPU's idle time. */
    private static <K> void split(List<Batch<K>> batches, K key, List<Integer> members, long bytes, long cap) {
        long fitting = bytes == 0 ? members.size() : Math.clamp(cap / bytes, 1, members.size());
        int count = Math.toIntExact((members.size() + fitting - 1) / fitting);
        for (int i = 0; i < count; i++) {
            List<Integer> part = members.subList(members.size() * i / count, members.size() * (i + 1) / count);
            batches.add(new Batch<>(key, List.copyOf(part), bytes * part.size()));
        }
    }
}
