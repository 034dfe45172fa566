package dev.muonium.checkpoint;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The tensors of some safetensors files together, and which of them were asked for. */
final class ForeignFiles implements AutoCloseable {
    private final List<Safetensors> files = new ArrayList<>();
    private final Map<String, Found> tensors = new LinkedHashMap<>();
    private final Set<String> left = new LinkedHashSet<>();

    /** A tensor and where it is. */
    record Found(Path file, StoredTensor tensor) {
        /** For messages: {@code 'w.exp_avg' of 'optimizer.safetensors'}. */
        String what() {
            return "'" + tensor.name() + "' of '" + file + "'";
        }
    }

    private ForeignFiles() {}

    static ForeignFiles open(List<Path> paths) {
        ForeignFiles opened = new ForeignFiles();
        try {
            for (Path path : paths) {
                opened.add(Safetensors.open(path));
            }
            return opened;
        } catch (RuntimeException e) {
            opened.close();
            throw e;
        }
    }

    private void add(Safetensors file) {
        files.add(file);
        for (String name : file.names()) {
            Found before = tensors.putIfAbsent(name, new Found(file.file(), file.tensor(name)));
            if (before != null) {
                throw new CheckpointException("there are two tensors '" + name + "', in '" + before.file()
                        + "' and in '" + file.file() + "'; each must be in one file");
            }
            left.add(name);
        }
    }

    /** The tensor of a name, or null; it counts as asked for. */
    @Nullable
    Found find(String name) {
        left.remove(name);
        return tensors.get(name);
    }

    /** Names that nobody asked for. */
    Set<String> left() {
        return left;
    }

    Found get(String name) {
        Found found = tensors.get(name);
        if (found == null) {
            throw new IllegalArgumentException(name);
        }
        return found;
    }

    /** For messages: {@code 'muon.safetensors' and 'adamw.safetensors'}. */
    String names() {
        return files.stream().map(file -> "'" + file.file() + "'").collect(Collectors.joining(" and "));
    }

    @Override
    public void close() {
        files.forEach(Safetensors::close);
    }
}
