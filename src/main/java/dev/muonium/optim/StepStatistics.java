package dev.muonium.optim;

import java.util.List;

/**
 * What {@link Optimizer#stepWithStatistics} saw.
 *
 * @param report what the step did
 * @param groups the groups that have parameters which are not frozen, in the order in which they were added; empty when the step was left out
 */
public record StepStatistics(StepReport report, List<GroupStatistics> groups) {
    /** Copies the list. */
    public StepStatistics {
        groups = List.copyOf(groups);
    }

    /**
     * The statistics of a group.
     *
     * @throws IllegalArgumentException if there are none of that name
     */
    public GroupStatistics group(String name) {
        for (GroupStatistics group : groups) {
            if (group.group().equals(name)) {
                return group;
            }
        }
        throw new IllegalArgumentException("there are no statistics of a group '" + name + "'; there are those of "
                + groups.stream().map(GroupStatistics::group).toList());
    }
}
