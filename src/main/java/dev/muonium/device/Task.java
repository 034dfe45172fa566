package dev.muonium.device;

/** A piece of parallel work, cut into tasks that are numbered from 0. See {@link Workers#run}. */
@FunctionalInterface
public interface Task {
    /**
     * Does one task.
     *
     * @param task the task's number
     * @param worker the number of the worker that does it, from 0 to {@link Workers#count()} - 1. No two tasks run on the
     *     same worker at the same time, so scratch memory may be indexed by it; results must not depend on it.
     */
    void run(int task, int worker);
}
