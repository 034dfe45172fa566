package dev.muonium.pytorch;

import dev.muonium.checkpoint.LiveTensor;
import dev.muonium.checkpoint.Safetensors;
import dev.muonium.checkpoint.StateSource;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterGroup;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * What PyTorch's {@code state_dict} of an optimizer has: the state of each parameter, and the settings of each group that may have been
 * changed since it was built.
 */
final class ModuleState implements StateSource {
    private static final String STEP = ".step";

    private final Optimizer optimizer;
    private final StateSource arrays;

    ModuleState(Optimizer optimizer) {
        this.optimizer = optimizer;
        this.arrays = StateSource.of(optimizer);
    }

    @Override
    public String part() {
        return arrays.part();
    }

    @Override
    public List<LiveTensor> tensors() {
        return arrays.tensors();
    }

    @Override
    public Map<String, String> metadata() {
        Map<String, String> metadata = new TreeMap<>(arrays.metadata());
        for (ParameterGroup group : optimizer.groups()) {
            metadata.put(rate(group), Double.toString(group.learningRate()));
            metadata.put(decay(group), Double.toString(group.weightDecay()));
            if (group.spec() instanceof Muon) {
                metadata.put(momentum(group), Double.toString(group.momentum()));
            }
        }
        return metadata;
    }

    private static String rate(ParameterGroup group) {
        return "learning rate of group " + group.name();
    }

    private static String decay(ParameterGroup group) {
        return "weight decay of group " + group.name();
    }

    private static String momentum(ParameterGroup group) {
        return "momentum of group " + group.name();
    }

    @Override
    public void check(Safetensors file) {
        arrays.check(file);
        for (ParameterGroup group : optimizer.groups()) {
            number(file, rate(group));
            number(file, decay(group));
            if (group.spec() instanceof Muon) {
                number(file, momentum(group));
            }
        }
    }

    /**
     * Checks that a file has the state of no other parameters.
     *
     * @throws IllegalArgumentException with their names
     */
    void requireNothingElse(Safetensors file) {
        Set<String> own = optimizer.parameters().stream().map(Parameter::name).collect(Collectors.toSet());
        List<String> others = file.names().stream()
                .filter(name -> name.endsWith(STEP))
                .map(name -> name.substring(0, name.length() - STEP.length()))
                .filter(name -> !own.contains(name))
                .toList();
        if (!others.isEmpty()) {
            throw new IllegalArgumentException("'" + file.file() + "' has state of the parameters " + others
                    + ", which are not trained here; load it into the module that it was saved from, with the same"
                    + " parameters frozen");
        }
    }

    private static double number(Safetensors file, String name) {
        String text = file.metadata().get(name);
        double value;
        try {
            value = text == null ? Double.NaN : Double.parseDouble(text);
        } catch (NumberFormatException e) {
            value = Double.NaN;
        }
        if (!(value >= 0 && value <= Double.MAX_VALUE)) {
            throw new IllegalArgumentException(
                    "'" + file.file() + "' has " + (text == null ? "nothing" : "'" + text + "'") + " for the " + name
                            + "; it must be a number that is not negative: save it from an optimizer with the same"
                            + " groups");
        }
        return value;
    }

    @Override
    public void restore(Safetensors file) {
        arrays.restore(file);
        for (ParameterGroup group : optimizer.groups()) {
            group.learningRate(number(file, rate(group)));
            group.weightDecay(number(file, decay(group)));
            if (group.spec() instanceof Muon) {
                group.momentum(number(file, momentum(group)));
            }
        }
    }
}
