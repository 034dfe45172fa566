package dev.muonium.checkpoint;

import dev.muonium.device.Device;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterState;
import dev.muonium.optim.StateTensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** State of other frameworks, checked and converted as a whole before any of it is copied into an optimizer. */
final class ForeignImport implements AutoCloseable {
    private final Optimizer optimizer;
    private final ForeignSteps counts = new ForeignSteps();
    private final Map<String, List<StateTensor>> states = new LinkedHashMap<>();
    private final StateConversion conversion;
    private final OptionalLong steps;

    /** An array of the optimizer and what becomes it; null for master weights that stay as they are. */
    private record Match(StateTensor target, @Nullable ForeignArray array) {}

    ForeignImport(Device device, Optimizer optimizer, ForeignFiles files, OptionalLong runSteps) {
        this.optimizer = optimizer;
        this.conversion = new StateConversion(device);
        ForeignLookup lookup = new ForeignLookup(device, files);
        Map<String, List<Match>> matches = new LinkedHashMap<>();
        for (Parameter parameter : optimizer.parameters()) {
            List<Match> own = new ArrayList<>();
            boolean isMuon = false;
            for (StateTensor target : optimizer.stateInPlace(parameter.name()).tensors()) {
                isMuon |= target.name().equals("momentum_buffer");
                own.add(new Match(target, lookup.find(parameter, target)));
            }
            counts.find(files, parameter.name(), !isMuon);
            matches.put(parameter.name(), own);
        }
        requireNothingLeft(files, matches.keySet());
        this.steps = counts.agreed(runSteps);
        matches.values()
                .forEach(own -> own.forEach(match -> {
                    if (match.array() != null) {
                        ForeignLookup.requireUsable(match.target(), match.array());
                    }
                }));
        try {
            matches.forEach((name, own) -> states.put(
                    name, own.stream().map(match -> converted(name, match)).toList()));
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private static void requireNothingLeft(ForeignFiles files, Set<String> known) {
        for (String name : files.left()) {
            String file = "'" + files.get(name).file() + "'";
            int dot = name.lastIndexOf('.');
            String parameter = dot < 0 ? name : name.substring(0, dot);
            throw new CheckpointException(
                    known.contains(parameter)
                            ? file + " has '" + name + "', a key of state that parameter '" + parameter
                                    + "' does not have here"
                            : file + " has '" + name + "', but there is no parameter '" + parameter + "' here");
        }
    }

    private StateTensor converted(String name, Match match) {
        ForeignArray array = match.array();
        if (array == null) {
            return optimizer.state(name).tensor(match.target().name());
        }
        StateTensor same = array.asIs(match.target());
        if (same != null) {
            return same;
        }
        StateTensor target = match.target();
        return conversion.make(target.name(), target.format(), target.block(), target.elements(), array::at);
    }

    /** Copies everything that was converted. */
    void apply() {
        long run = steps.orElse(optimizer.steps());
        states.forEach((name, tensors) -> optimizer.restore(name, new ParameterState(counts.of(name, run), tensors)));
        optimizer.steps(run);
    }

    /** Frees what was made. */
    @Override
    public void close() {
        conversion.close();
    }
}
