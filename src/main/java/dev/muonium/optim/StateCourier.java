package dev.muonium.optim;

import dev.muonium.MuoniumException;
import dev.muonium.events.Events;
import dev.muonium.events.OffloadCopyEvent;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A thread that carries state between a mapped file and page-locked memory while a step goes on: it reads loads ahead, as many as there are places, and takes each
 * back, when the GPU has sent it, before its place is filled again. What was taken back is written behind by the {@link StateFile}.
 */
final class StateCourier implements AutoCloseable {
    private final StateFile file;
    private final List<Trip> trips;
    private final int places;
    private final IntConsumer awaitSentBack;
    private final ExecutorService thread = Executors.newSingleThreadExecutor(
            Thread.ofPlatform().name("muonium-courier").daemon(true).factory());
    private final Runnable step = this::carry;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private int read; // guarded by the lock, as is all below
    private int sent;
    private boolean carries;
    private boolean abandoned;
    private @Nullable Throwable failure;

    /**
     * What is carried for a load.
     *
     * @param members those of its batch
     * @param place page-locked memory
     * @param pieces where it comes from
     */
    record Trip(StateLoads.Load load, List<StateSpan> members, MemorySegment place, List<StateRing.Piece> pieces) {
        void read() {
            OffloadCopyEvent event = Events.offloadCopy();
            for (int i = 0; i < pieces.size(); i++) {
                StateRing.Piece piece = pieces.get(i);
                long bytes = piece.home().byteSize();
                MemorySegment.copy(piece.home(), 0, place, piece.offset(), bytes);
            }
            commit(event, "mapping to staging");
        }

        void write(StateFile file) {
            OffloadCopyEvent event = Events.offloadCopy();
            for (int i = 0; i < pieces.size(); i++) {
                StateRing.Piece piece = pieces.get(i);
                MemorySegment.copy(
                        place, piece.offset(), piece.home(), 0, piece.home().byteSize());
            }
            commit(event, "staging to mapping");
            for (StateLoads.Part part : load.parts()) {
                StateSpan span = members.get(part.member());
                file.writeBehind(span.slot().state(), span.begin() + part.begin(), span.begin() + part.end());
            }
        }

        private void commit(@Nullable OffloadCopyEvent event, String direction) {
            if (event != null) {
                event.direction = direction;
                event.bytes = pieces.stream()
                        .mapToLong(piece -> piece.home().byteSize())
                        .sum();
                event.commit();
            }
        }

        void readAhead(StateFile file) {
            for (StateLoads.Part part : load.parts()) {
                StateSpan span = members.get(part.member());
                file.readAhead(span.slot().state(), span.begin() + part.begin(), span.begin() + part.end());
            }
        }
    }

    /** @param awaitSentBack waits until what the GPU has sent from a place is there */
    StateCourier(StateFile file, List<Trip> trips, int places, IntConsumer awaitSentBack) {
        this.file = file;
        this.trips = List.copyOf(trips);
        this.places = places;
        this.awaitSentBack = awaitSentBack;
    }

    /** Begins a step. */
    void begin() {
        lock.lock();
        try {
            requireSound();
            read = 0;
            sent = 0;
            carries = true;
        } finally {
            lock.unlock();
        }
        thread.execute(step);
    }

    /** Waits until a load is in its place on the host. */
    void awaitRead(int load) {
        lock.lock();
        try {
            while (read <= load && failure == null) {
                changed.awaitUninterruptibly();
            }
            requireSound();
        } finally {
            lock.unlock();
        }
    }

    /** The GPU was told to send a load back. */
    void sent(int load) {
        lock.lock();
        try {
            sent = load + 1;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Waits until all loads of the step are in the file's mapping. */
    void awaitWritten() {
        lock.lock();
        try {
            awaitEnd();
            requireSound();
        } finally {
            lock.unlock();
        }
    }

    /** Lets the thread end a step that goes no further; there can be no other. */
    void abandon() {
        lock.lock();
        try {
            abandoned = true;
            changed.signalAll();
            awaitEnd();
            if (failure == null) {
                failure = new IllegalStateException("a step was broken off");
            }
        } finally {
            lock.unlock();
        }
    }

    private void awaitEnd() {
        while (carries) {
            changed.awaitUninterruptibly();
        }
    }

    private void requireSound() {
        if (failure != null) {
            throw new MuoniumException(
                    "optimizer state in a file in '" + file.folder() + "' cannot be read or written: "
                            + failure.getMessage()
                            + "; a step was begun, so go on from a checkpoint with a new optimizer",
                    failure);
        }
    }

    /** One step, on the thread. */
    private void carry() {
        @Nullable Throwable failed = null;
        try {
            for (int i = 0; i < trips.size() + places && next(i); i++) {}
        } catch (RuntimeException | Error e) { // an Error where the disk lost a page of the mapping
            failed = e;
        }
        ended(failed);
    }

    private void ended(@Nullable Throwable failed) {
        lock.lock();
        try {
            failure = failure == null ? failed : failure;
            carries = false;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Frees a place if there was a load before, and fills it; false when the step goes no further. */
    private boolean next(int load) {
        int before = load - places;
        if (before >= 0 && before < trips.size()) {
            if (!awaitSent(before)) {
                return false;
            }
            awaitSentBack.accept(before % places);
            trips.get(before).write(file);
        }
        if (load < trips.size()) {
            if (load + 1 < trips.size()) {
                trips.get(load + 1).readAhead(file);
            }
            trips.get(load).read();
            wasRead(load);
        }
        return true;
    }

    private void wasRead(int load) {
        lock.lock();
        try {
            read = load + 1;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private boolean awaitSent(int load) {
        lock.lock();
        try {
            while (sent <= load && !abandoned) {
                changed.awaitUninterruptibly();
            }
            return !abandoned;
        } finally {
            lock.unlock();
        }
    }

    /** Ends the thread; no step is going on. */
    @Override
    public void close() {
        thread.shutdown();
    }
}
