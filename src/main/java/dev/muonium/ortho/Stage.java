package dev.muonium.ortho;

/**
 * A piece of an iteration that must be finished before the next begins, cut into tasks that may run in any order and at the same
 * time. How it is cut depends on the matrix's shape alone.
 */
interface Stage {
    /** Called before the first stage of each iteration runs: the workspace may have served another one. */
    default void prepare() {}

    int tasks();

    void run(int task, int worker);
}
