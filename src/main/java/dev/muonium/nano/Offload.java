package dev.muonium.nano;

/** Where the optimizer's state lies between steps. */
public enum Offload {
    /** On the device. */
    NONE,
    /** In page-locked memory of the host; for a GPU, which the state passes through in places of 128 MiB together at most. */
    HOST,
    /** In a memory-mapped file, for state that is larger than the memory; on any device. */
    FILE
}
