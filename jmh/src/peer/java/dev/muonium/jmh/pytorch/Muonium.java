package dev.muonium.jmh.pytorch;

import dev.muonium.optim.Parameter;
import dev.muonium.pytorch.ModuleOptimizer;
import java.util.HashMap;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.Tensor;

/** Muonium's optimizer under the module. */
final class Muonium implements Stepper {
    private final Module module;
    private final ModuleOptimizer optimizer;

    Muonium(Module module, ModuleOptimizer optimizer) {
        this.module = module;
        this.optimizer = optimizer;
    }

    @Override
    public void zeroGrad() {
        optimizer.zeroGrad();
    }

    @Override
    public void step() {
        optimizer.step();
    }

    @Override
    public long stateBytes() {
        return optimizer.stateBytes();
    }

    /** Whether the memory that the last step read and wrote is that of the module's tensors. */
    boolean isInPlace() {
        Map<String, Parameter> seen = new HashMap<>();
        optimizer.parameters().forEach(parameter -> seen.put(parameter.name(), parameter));
        try (PointerScope scope = new PointerScope()) {
            StringTensorDict all = module.named_parameters();
            for (long i = 0; i < all.size(); i++) {
                Parameter parameter = seen.remove(all.get(i).key().getString());
                Tensor tensor = all.get(i).value();
                if (parameter == null
                        || parameter.weights().address() != tensor.data_ptr().address()
                        || parameter.gradient().address()
                                != tensor.grad().data_ptr().address()) {
                    return false;
                }
            }
            return seen.isEmpty();
        }
    }

    @Override
    public void close() {
        optimizer.close();
    }
}
