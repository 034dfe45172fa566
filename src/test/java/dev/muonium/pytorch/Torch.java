package dev.muonium.pytorch;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.Tensor;

/** Looks at modules past the classes that are tested. */
final class Torch {
    private Torch() {}

    /** The parameters of a module under their names, as references that nobody frees before the garbage collector. */
    static Map<String, Tensor> parameters(Module module) {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        StringTensorDict all = module.named_parameters();
        for (long i = 0; i < all.size(); i++) {
            tensors.put(all.get(i).key().getString(), new Tensor(all.get(i).value()));
        }
        return tensors;
    }

    static Tensor parameter(Module module, String name) {
        return parameters(module).get(name);
    }

    static MemorySegment memory(Tensor tensor) {
        return MemorySegment.ofAddress(tensor.data_ptr().address()).reinterpret(tensor.nbytes());
    }

    static byte[] bytes(Tensor tensor) {
        return memory(tensor).toArray(ValueLayout.JAVA_BYTE);
    }

    /** Copies of all weights of a module. */
    static Map<String, byte[]> weights(Module module) {
        Map<String, byte[]> weights = new LinkedHashMap<>();
        try (PointerScope _ = new PointerScope()) {
            parameters(module).forEach((name, tensor) -> weights.put(name, bytes(tensor)));
        }
        return weights;
    }

    /** Makes the weights of one module those of another. */
    static void copyWeights(Module from, Module to) {
        try (PointerScope _ = new PointerScope()) {
            Map<String, Tensor> targets = parameters(to);
            parameters(from).forEach((name, tensor) -> memory(targets.get(name)).copyFrom(memory(tensor)));
        }
    }
}
