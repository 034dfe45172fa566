package dev.muonium.events;

import org.jspecify.annotations.Nullable;

/**
 * Where events come from. What nobody records costs a look at whether it is enabled: no object is made. Where the JVM has no module {@code jdk.jfr}, which a
 * runtime that was put together with jlink may lack, there are no events.
 *
 * <p>A method that begins an event returns null where it is not recorded; else the caller fills it and commits it on the same thread. Thread-safe.
 */
public final class Events {
    private static final boolean PRESENT =
            ModuleLayer.boot().findModule("jdk.jfr").isPresent();

    private Events() {}

    /** One event of each kind, to ask whether the kind is enabled; loaded only where there is a Flight Recorder. */
    private static final class Kinds {
        static final StepEvent STEP = new StepEvent();
        static final OrthogonalizationEvent ORTHOGONALIZATION = new OrthogonalizationEvent();
        static final AllocationEvent ALLOCATION = new AllocationEvent();
        static final FreeEvent FREE = new FreeEvent();
        static final CheckpointEvent CHECKPOINT = new CheckpointEvent();
        static final OffloadCopyEvent OFFLOAD_COPY = new OffloadCopyEvent();

        private Kinds() {}
    }

    /** Begins a step. */
    public static @Nullable StepEvent step() {
        if (!PRESENT || !Kinds.STEP.isEnabled()) {
            return null;
        }
        StepEvent event = new StepEvent();
        event.begin();
        return event;
    }

    /** Begins an orthogonalization. */
    public static @Nullable OrthogonalizationEvent orthogonalization() {
        if (!PRESENT || !Kinds.ORTHOGONALIZATION.isEnabled()) {
            return null;
        }
        OrthogonalizationEvent event = new OrthogonalizationEvent();
        event.begin();
        return event;
    }

    /** Begins saving, opening or restoring a checkpoint. */
    public static @Nullable CheckpointEvent checkpoint() {
        if (!PRESENT || !Kinds.CHECKPOINT.isEnabled()) {
            return null;
        }
        CheckpointEvent event = new CheckpointEvent();
        event.begin();
        return event;
    }

    /** Begins a copy of optimizer state. */
    public static @Nullable OffloadCopyEvent offloadCopy() {
        if (!PRESENT || !Kinds.OFFLOAD_COPY.isEnabled()) {
            return null;
        }
        OffloadCopyEvent event = new OffloadCopyEvent();
        event.begin();
        return event;
    }

    /**
     * Memory was allocated.
     *
     * @param total bytes that the ledger holds now
     */
    public static void allocated(String purpose, String name, long bytes, long total) {
        if (PRESENT && Kinds.ALLOCATION.isEnabled()) {
            AllocationEvent event = new AllocationEvent();
            event.purpose = purpose;
            event.name = name;
            event.bytes = bytes;
            event.total = total;
            event.commit();
        }
    }

    /**
     * Memory was freed.
     *
     * @param total bytes that the ledger holds now
     */
    public static void freed(String purpose, String name, long bytes, long total) {
        if (PRESENT && Kinds.FREE.isEnabled()) {
            FreeEvent event = new FreeEvent();
            event.purpose = purpose;
            event.name = name;
            event.bytes = bytes;
            event.total = total;
            event.commit();
        }
    }
}
