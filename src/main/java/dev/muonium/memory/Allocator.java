package dev.muonium.memory;

/** Makes tensors in one kind of memory and enters them in a ledger. Thread-safe. */
public interface Allocator {
    /**
     * A new tensor filled with zeros, owned by the caller, who closes it.
     *
     * @param purpose the ledger's column
     * @param name for messages and reports
     * @throws dev.muonium.MuoniumException if the system has not that much memory; the message says how much was asked for
     *     and what the ledger holds
     */
    Tensor allocate(Purpose purpose, String name, ElementType type, Shape shape);

    /** Where this allocator's memory is counted. */
    Ledger ledger();
}
