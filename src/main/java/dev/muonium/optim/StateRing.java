package dev.muonium.optim;

import dev.muonium.device.CudaDevice;
import dev.muonium.device.CudaTransfers;
import dev.muonium.device.CudaTransfers.Copy;
import dev.muonium.events.Events;
import dev.muonium.events.OffloadCopyEvent;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.quant.QuantizedTensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Places in a GPU's memory that the state of a step passes through, load by load, while the host keeps it: a load is brought before it is worked on and sent
 * back behind that, both beside what the GPU computes. In a step, {@link #begin}, then {@link #use} and {@link #used} for each load in turn, then {@link #end}.
 *
 * <p>Where a step is left out, the kernels change nothing, and what is sent back are the bytes that came.
 */
abstract sealed class StateRing implements AutoCloseable permits HostRing, FileRing {
    final StateLoads loads;
    final CudaTransfers transfers;
    private final DeviceMemory memory;
    private final Tensor area;

    StateRing(CudaDevice device, StateLoads loads) {
        this.loads = loads;
        this.memory = device.memory();
        this.area = device.allocate(
                Purpose.OPTIMIZER_WORKSPACE, "places for state", ElementType.U8, Shape.of(loads.stagingBytes()));
        try {
            this.transfers = device.transfers(loads.places());
        } catch (RuntimeException e) {
            area.close();
            throw e;
        }
    }

    /** A piece of state where the host keeps it, and where it lies in a load. */
    record Piece(MemorySegment home, long offset) {}

    /** The pieces of a load. */
    static List<Piece> pieces(StateLoads.Load load, List<StateSpan> members) {
        List<Piece> pieces = new ArrayList<>();
        for (StateLoads.Part part : load.parts()) {
            StateSpan span = members.get(part.member());
            StateLoads.Arrays arrays = StateLoads.Arrays.of(span);
            long begin = span.begin() + part.begin();
            long count = part.end() - part.begin();
            long offset = part.offset();
            for (Slot.NamedState named : span.slot().state()) {
                QuantizedTensor tensor = named.tensor();
                BlockFormat format = tensor.format();
                long size = format.codeType().byteSize();
                pieces.add(new Piece(tensor.codes().asSlice(begin * size, count * size), offset));
                offset += arrays.codeBytes(format, count);
                MemorySegment scales = tensor.scales();
                if (scales != null) {
                    long first = begin / tensor.block() * Float.BYTES;
                    pieces.add(new Piece(
                            scales.asSlice(first, format.scales(count, tensor.block()) * Float.BYTES), offset));
                    offset += arrays.scaleBytes(format, count);
                }
            }
        }
        return pieces;
    }

    final int place(int load) {
        return load % loads.places();
    }

    /** Memory of the place that a load comes to. */
    final MemorySegment at(int load, long offset, long bytes) {
        return memory.slice(area.segment(), place(load) * loads.placeBytes() + offset, bytes);
    }

    final Copy copy(MemorySegment home, int load, long offset) {
        return new Copy(home, at(load, offset, home.byteSize()), home.byteSize());
    }

    /** Begins a step. */
    abstract void begin();

    /** What is started on the device from now on finds a load in its place. */
    abstract void use(int load);

    /** All that works on a load was started. */
    abstract void used(int load);

    /** Ends a step: {@link #finish} may be called when the device was synchronized. */
    void end() {
        transfers.end();
    }

    /** Returns when the state is where the host keeps it; the device was synchronized. */
    abstract void finish();

    /** Ends a step that failed half-way. */
    abstract void abandon();

    /** Whether a step can be recorded, from {@link #begin} to {@link #end}. */
    abstract boolean isRecordable();

    /** Bytes that a step copies in each direction. */
    abstract long copiedBytes();

    static long sum(List<? extends List<Copy>> copies) {
        return copies.stream().flatMap(List::stream).mapToLong(Copy::bytes).sum();
    }

    /** Of a step that is done, whose copies the host has not timed. */
    final void commitEvents() {
        commit("host to device");
        commit("device to host");
    }

    private void commit(String direction) {
        OffloadCopyEvent event = Events.offloadCopy();
        if (event != null) {
            event.direction = direction;
            event.bytes = copiedBytes();
            event.commit();
        }
    }

    /** Bytes of the places, here and there. */
    long byteSize() {
        return area.byteSize();
    }

    @Override
    public void close() {
        transfers.close();
        area.close();
    }
}
