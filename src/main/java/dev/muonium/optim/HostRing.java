package dev.muonium.optim;

import dev.muonium.device.CudaDevice;
import dev.muonium.device.CudaTransfers.Copy;
import java.util.ArrayList;
import java.util.List;

/** State in page-locked memory of the host: a GPU copies it from there and back by itself, so that a step can be recorded. */
final class HostRing extends StateRing {
    private final List<List<Copy>> copies = new ArrayList<>();

    /** @param batches the members of each batch of the loads */
    HostRing(CudaDevice device, StateLoads loads, List<List<StateSpan>> batches) {
        super(device, loads);
        for (int i = 0; i < batches.size(); i++) {
            for (StateLoads.Load load : loads.batches().get(i)) {
                copies.add(pieces(load, batches.get(i)).stream()
                        .map(piece -> copy(piece.home(), load.number(), piece.offset()))
                        .toList());
            }
        }
    }

    @Override
    void begin() {
        transfers.begin();
        for (int load = 0; load < loads.places(); load++) {
            transfers.bring(load, copies.get(load));
        }
    }

    @Override
    void use(int load) {
        transfers.use(place(load));
    }

    @Override
    void used(int load) {
        transfers.sendBack(place(load), copies.get(load));
        int next = load + loads.places();
        if (next < copies.size()) {
            transfers.bring(place(next), copies.get(next));
        }
    }

    @Override
    void finish() {}

    @Override
    void abandon() {}

    @Override
    long copiedBytes() {
        return sum(copies);
    }

    @Override
    boolean isRecordable() {
        return true;
    }
}
