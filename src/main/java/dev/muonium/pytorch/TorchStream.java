package dev.muonium.pytorch;

import dev.muonium.DeviceUnavailableException;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Stream;
import org.bytedeco.pytorch.global.torch;

/**
 * PyTorch's current stream on a GPU.
 *
 * @param ordinal the GPU's number
 */
record TorchStream(byte ordinal) implements CurrentStream {
    @Override
    public long handle() {
        try (PointerScope _ = new PointerScope()) {
            Pointer handle = torch.getCurrentStream(ordinal).native_handle();
            return handle == null ? 0 : handle.address();
        } catch (RuntimeException e) {
            throw unknown(e);
        }
    }

    @Override
    public void synchronize() {
        try (PointerScope _ = new PointerScope()) {
            Stream current = torch.getCurrentStream(ordinal);
            current.synchronize();
        } catch (RuntimeException e) {
            throw unknown(e);
        }
    }

    /** JavaCPP throws PyTorch's errors as plain runtime exceptions, whose text has a stack trace in C++. */
    private DeviceUnavailableException unknown(RuntimeException e) {
        String reason = String.valueOf(e.getMessage()).lines().findFirst().orElse("no reason given");
        return new DeviceUnavailableException(
                "PyTorch does not say which stream it works in on cuda:" + ordinal + " (" + reason
                        + "); use its natives with CUDA (org.bytedeco:pytorch with the classifier linux-x86_64-gpu),"
                        + " or give the optimizer a CudaDevice of your own with device(...)",
                e);
    }
}
