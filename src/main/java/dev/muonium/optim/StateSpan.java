package dev.muonium.optim;

/**
 * A range of a parameter's state that is updated at a time, and what that range is of: from a border of a block on, to one or to the end.
 *
 * @param begin its first element
 * @param end behind its last
 */
record StateSpan(Slot slot, long begin, long end) {
    /** The state of a whole parameter. */
    static StateSpan of(Slot slot) {
        return new StateSpan(slot, 0, slot.elements());
    }

    long elements() {
        return end - begin;
    }
}
