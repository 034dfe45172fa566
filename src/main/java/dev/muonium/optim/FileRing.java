package dev.muonium.optim;

import dev.muonium.device.CudaDevice;
import dev.muonium.device.CudaTransfers.Copy;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * State in a mapped file, for a GPU: a load goes from the mapping to page-locked memory, from there to the GPU, and the same way back. The copies between mapping and
 * page-locked memory are a {@link StateCourier}'s, on a thread of its own, a few loads ahead of the GPU and behind it; so a step cannot be recorded, and is
 * started call by call each time. A disk is slower than all that this costs.
 */
final class FileRing extends StateRing {
    private final Tensor pinned;
    private final List<List<Copy>> copies = new ArrayList<>();
    private final StateCourier courier;

    /** @param batches the members of each batch of the loads */
    FileRing(CudaDevice device, StateFile file, StateLoads loads, List<List<StateSpan>> batches) {
        super(device, loads);
        try {
            this.pinned = device.memory()
                    .allocateStaging(
                            Purpose.OPTIMIZER_WORKSPACE,
                            "places for state on the host",
                            ElementType.U8,
                            Shape.of(loads.stagingBytes()));
        } catch (RuntimeException e) {
            super.close();
            throw e;
        }
        List<StateCourier.Trip> trips = new ArrayList<>();
        for (int i = 0; i < batches.size(); i++) {
            for (StateLoads.Load load : loads.batches().get(i)) {
                MemorySegment place = pinned.segment().asSlice(place(load.number()) * loads.placeBytes(), load.bytes());
                copies.add(List.of(copy(place, load.number(), 0)));
                trips.add(new StateCourier.Trip(load, batches.get(i), place, pieces(load, batches.get(i))));
            }
        }
        this.courier = new StateCourier(file, trips, loads.places(), transfers::awaitSentBack);
    }

    @Override
    void begin() {
        courier.begin();
        transfers.begin();
    }

    @Override
    void use(int load) {
        courier.awaitRead(load);
        transfers.bring(place(load), copies.get(load));
        transfers.use(place(load));
    }

    @Override
    void used(int load) {
        transfers.sendBack(place(load), copies.get(load));
        courier.sent(load);
    }

    @Override
    void finish() {
        courier.awaitWritten();
    }

    @Override
    void abandon() {
        courier.abandon();
    }

    @Override
    long copiedBytes() {
        return sum(copies);
    }

    @Override
    boolean isRecordable() {
        return false;
    }

    @Override
    long byteSize() {
        return super.byteSize() + pinned.byteSize();
    }

    @Override
    public void close() {
        courier.close();
        super.close();
        pinned.close();
    }
}
