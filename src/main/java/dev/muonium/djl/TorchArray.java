package dev.muonium.djl;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import ai.djl.util.NativeResource;
import dev.muonium.memory.Shape;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Where the FP32 elements of an NDArray of DJL's PyTorch engine lie: element {@code (i, j, …)} is {@code i·strides[0] + j·strides[1] + …}
 * elements behind {@code address}. The memory is PyTorch's.
 */
final class TorchArray {
    private final long address;
    private final long[] extents;
    private final long[] strides;
    private final ai.djl.Device device;

    private TorchArray(long address, long[] extents, long[] strides, ai.djl.Device device) {
        this.address = address;
        this.extents = extents;
        this.strides = strides;
        this.device = device;
    }

    /**
     * Looks at an array.
     *
     * @param what what messages call it
     * @throws IllegalStateException if it was closed
     * @throws IllegalArgumentException if it is no dense array of PyTorch in FP32, or its elements share memory
     */
    static TorchArray of(TorchAbi abi, String what, NDArray array) {
        requireOpen(what, array);
        if (!(array instanceof NativeResource<?> resource && resource.getHandle() instanceof Long handle)
                || !"PyTorch".equals(array.getManager().getEngine().getEngineName())) {
            throw new IllegalArgumentException(what + " is an array of "
                    + array.getClass().getSimpleName() + "; Muonium works on those of DJL's PyTorch engine");
        }
        if (array.isSparse()) {
            throw new IllegalArgumentException(what + " is sparse (" + array.getSparseFormat()
                    + "); Muonium needs dense arrays, so build the block with SparseFormat.DENSE");
        }
        if (array.getDataType() != DataType.FLOAT32) {
            throw new IllegalArgumentException(what + " has the type " + array.getDataType()
                    + "; Muonium updates those of FLOAT32, so convert it or freeze its parameter");
        }
        long[] extents = array.getShape().getShape();
        TorchArray seen = new TorchArray(
                abi.dataPointer(handle), extents, abi.strides(handle, extents.length), array.getDevice());
        seen.requireOwnElements(what);
        return seen;
    }

    static void requireOpen(String what, NDArray array) {
        if (array.isReleased()) {
            throw new IllegalStateException(
                    what + " was closed, by itself or with its NDManager; keep the manager of the"
                            + " model open while it is trained");
        }
    }

    private void requireOwnElements(String what) {
        for (int axis = 0; axis < extents.length; axis++) {
            if (strides[axis] == 0 && extents[axis] > 1) {
                throw new IllegalArgumentException(
                        what + " is an expanded array, whose elements share memory; copy it with duplicate()");
            }
        }
    }

    /** The address of the first element. */
    long address() {
        return address;
    }

    /** Where it lies. */
    ai.djl.Device device() {
        return device;
    }

    /** Elements from the first one to that of a row-major index. */
    long offset(long index) {
        long offset = 0;
        long rest = index;
        for (int axis = extents.length - 1; axis >= 0; axis--) {
            offset += rest % extents[axis] * strides[axis];
            rest /= extents[axis];
        }
        return offset;
    }

    /** Whether it has the extents of another. */
    boolean hasShapeOf(TorchArray other) {
        return Arrays.equals(extents, other.extents);
    }

    /** Whether it lies in memory of a GPU. */
    boolean isOnGpu() {
        return device.isGpu();
    }

    /** Its shape; that of a scalar is 1. */
    Shape shape() {
        return extents.length == 0 ? Shape.of(1) : Shape.of(extents);
    }

    /** Whether the elements lie one behind the other in row-major order. */
    boolean isContiguous() {
        long expected = 1;
        for (int axis = extents.length - 1; axis >= 0; axis--) {
            if (extents[axis] != 1 && strides[axis] != expected) {
                return false;
            }
            expected *= extents[axis];
        }
        return true;
    }

    /** Memory of the host from the first element to the last. */
    MemorySegment hostMemory() {
        long last = 0;
        for (int axis = 0; axis < extents.length; axis++) {
            last += (extents[axis] - 1) * strides[axis];
        }
        return MemorySegment.ofAddress(address).reinterpret((last + 1) * Float.BYTES);
    }

    /** Whether it is the same elements in the same order. */
    boolean isSameAs(TorchArray other) {
        return address == other.address && Arrays.equals(strides, other.strides);
    }
}
