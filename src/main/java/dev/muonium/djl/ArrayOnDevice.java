package dev.muonium.djl;

import dev.muonium.device.CudaDevice;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * An array of PyTorch as a device of ours sees it: the memory itself, or, where its elements do not lie one behind the other, a copy that goes
 * in before a step and out after it.
 *
 * <p>Owns the copy, which the ledger counts, and never the array.
 */
final class ArrayOnDevice implements AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(ArrayOnDevice.class);

    private final Device device;
    private final String label;
    private final Purpose purpose;
    private TorchArray array;
    private MemorySegment segment;
    private @Nullable Tensor copy;
    private @Nullable Tensor wrapped;

    /**
     * @param label what messages and the ledger call it
     * @param purpose what a copy is counted under
     */
    ArrayOnDevice(Device device, String label, Purpose purpose, TorchArray array) {
        this.device = device;
        this.label = label;
        this.purpose = purpose;
        this.array = array;
        this.segment = place(array);
    }

    /** Turns to another array of the same parameter; allocates nothing if it lies where the last one did. */
    MemorySegment bind(TorchArray next) {
        if (!next.isSameAs(array)) {
            MemorySegment placed = place(next);
            array = next;
            segment = placed;
        }
        return segment;
    }

    private MemorySegment place(TorchArray next) {
        if (!next.isContiguous()) {
            return copyOf(next).segment();
        }
        if (!next.isOnGpu()) {
            return next.hostMemory();
        }
        Tensor before = wrapped;
        wrapped = ((CudaDevice) device).wrap(label, ElementType.F32, next.shape(), next.address());
        if (before != null) {
            before.close();
        }
        return wrapped.segment();
    }

    private Tensor copyOf(TorchArray next) {
        if (next.isOnGpu()) {
            throw new IllegalArgumentException(
                    label + " is not contiguous, and lies on a GPU, where Muonium updates contiguous arrays only;"
                            + " make the parameter of a contiguous array");
        }
        if (copy == null) {
            copy = device.allocate(purpose, label + " (contiguous copy)", ElementType.F32, next.shape());
            LOG.warn("{} is not contiguous: every step copies its {} bytes", label, copy.byteSize());
        }
        return copy;
    }

    /** The array. */
    TorchArray array() {
        return array;
    }

    /** Where a step reads and writes it. */
    MemorySegment segment() {
        return segment;
    }

    /** Before a step: fills the copy, if there is one. */
    void copyIn() {
        if (!array.isContiguous()) {
            StridedCopy.gather(array, segment);
        }
    }

    /** After a step: brings the copy back, if there is one. */
    void copyOut() {
        if (!array.isContiguous()) {
            StridedCopy.scatter(segment, array);
        }
    }

    @Override
    public void close() {
        if (copy != null) {
            copy.close();
        }
        if (wrapped != null) {
            wrapped.close();
        }
    }
}
