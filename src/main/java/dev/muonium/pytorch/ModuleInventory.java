package dev.muonium.pytorch;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.StringSharedModuleDict;
import org.bytedeco.pytorch.StringSharedModuleDictItem;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.StringTensorDictItem;
import org.bytedeco.pytorch.Tensor;

/** Reads which parameters a module has. */
final class ModuleInventory {
    private ModuleInventory() {}

    /**
     * All parameters, trained or not, in the order in which they are registered. A tensor in several places is one parameter. The caller
     * closes them.
     */
    static List<FoundParameter> of(Module module) {
        List<FoundParameter> found = new ArrayList<>();
        try (PointerScope _ = new PointerScope()) {
            Set<String> tables = tablesOfEmbeddings(module);
            StringTensorDict all = module.named_parameters();
            for (long i = 0; i < all.size(); i++) {
                StringTensorDictItem item = all.get(i);
                String name = item.key().getString();
                add(found, name, item.value(), tables.contains(name));
            }
        }
        return found;
    }

    private static void add(List<FoundParameter> found, String name, Tensor tensor, boolean inEmbedding) {
        Optional<FoundParameter> known =
                found.stream().filter(one -> one.tensor().is_same(tensor)).findFirst();
        FoundParameter parameter = known.orElseGet(() -> {
            FoundParameter first = new FoundParameter(TorchTensors.reference(tensor));
            found.add(first);
            return first;
        });
        parameter.addName(name, inEmbedding);
    }

    private static Set<String> tablesOfEmbeddings(Module module) {
        Set<String> tables = new HashSet<>();
        StringSharedModuleDict all = module.named_modules();
        for (long i = 0; i < all.size(); i++) {
            StringSharedModuleDictItem item = all.get(i);
            Module one = item.value();
            if (one.asEmbedding() != null || one.asEmbeddingBag() != null) {
                BytePointer name = item.key();
                // The module itself has an empty name, for which JavaCPP has no pointer.
                tables.add(name == null ? "weight" : name.getString() + ".weight");
            }
        }
        return tables;
    }
}
