package dev.muonium.pytorch;

import dev.muonium.memory.Shape;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/** What was said about parameters by their names: what they are, and how their matrices are cut. Not thread-safe. */
final class Declarations {
    private final Map<ParameterKind, Set<String>> kinds = new EnumMap<>(ParameterKind.class);
    private final List<Split> splits = new ArrayList<>();

    private record Split(String name, UnaryOperator<Parameter> how) {}

    void add(ParameterKind kind, List<String> names) {
        kinds.computeIfAbsent(kind, _ -> new LinkedHashSet<>()).addAll(names);
    }

    void addSplit(String name, UnaryOperator<Parameter> how) {
        splits.add(new Split(name, how));
    }

    /** The names that were said to be of a kind. */
    Set<String> names(ParameterKind kind) {
        return kinds.getOrDefault(kind, Set.of());
    }

    /** What a parameter was said to be; a head if a tied one was said to be an embedding as well. */
    Optional<ParameterKind> kind(FoundParameter parameter) {
        return kinds(parameter.names()).stream().reduce((_, last) -> last);
    }

    /** How a parameter is to be split. */
    Optional<UnaryOperator<Parameter>> split(FoundParameter parameter) {
        return splits(parameter).stream().findFirst().map(Split::how);
    }

    /**
     * Checks what was said against the parameters of a module.
     *
     * @throws IllegalArgumentException if a name is none of theirs, two things were said about one, or its shape is not one of its kind
     */
    void requireFit(List<FoundParameter> all) {
        Set<String> known = all.stream()
                .flatMap(parameter -> parameter.names().stream())
                .collect(Collectors.toCollection(LinkedHashSet::new));
        kinds.forEach((kind, names) -> names.forEach(name -> requireKnown(a(kind), name, known)));
        splits.forEach(split -> requireKnown("split", split.name(), known));
        for (FoundParameter parameter : all) {
            parameter.names().forEach(name -> requireOne(parameter, kinds(List.of(name))));
            List<ParameterKind> said = kinds(parameter.names());
            if (!said.equals(List.of(ParameterKind.EMBEDDING, ParameterKind.HEAD))) { // which a tied table is
                requireOne(parameter, said);
            }
            if (splits(parameter).size() > 1) {
                throw new IllegalArgumentException("parameter '" + parameter.name()
                        + "' was split twice; say it in one call, which may cut again what it has cut");
            }
            kind(parameter).ifPresent(kind -> requireRank(parameter, kind));
        }
    }

    private List<ParameterKind> kinds(Collection<String> names) {
        return kinds.entrySet().stream()
                .filter(entry -> names.stream().anyMatch(entry.getValue()::contains))
                .map(Map.Entry::getKey)
                .toList();
    }

    private List<Split> splits(FoundParameter parameter) {
        return splits.stream()
                .filter(split -> parameter.names().contains(split.name()))
                .toList();
    }

    private static void requireKnown(String what, String name, Set<String> known) {
        if (!known.contains(name)) {
            throw new IllegalArgumentException(
                    "the module has no parameter '" + name + "', which was said to be " + what + "; it has " + known);
        }
    }

    private static void requireOne(FoundParameter parameter, List<ParameterKind> said) {
        if (said.size() > 1) {
            throw new IllegalArgumentException("parameter '" + String.join(" = ", parameter.names())
                    + "' was said to be " + said.stream().map(Declarations::a).collect(Collectors.joining(" and "))
                    + "; say one of both");
        }
    }

    private static void requireRank(FoundParameter parameter, ParameterKind kind) {
        int rank = Math.toIntExact(parameter.tensor().dim());
        if (kind == ParameterKind.CONVOLUTION && (rank < 3 || rank > 5)) {
            throw wrongRank(
                    parameter, "a convolution, whose kernel has 3 to 5 dimensions, as out × in × height × width");
        }
        if (kind == ParameterKind.STACK && rank < 3) {
            throw wrongRank(parameter, "a stack, which has 3 dimensions or more, as experts × rows × cols");
        }
    }

    private static IllegalArgumentException wrongRank(FoundParameter parameter, String what) {
        Shape shape = TorchTensors.shape(parameter.name(), parameter.tensor());
        return new IllegalArgumentException(
                "parameter '" + parameter.name() + "' has the shape " + shape + ", and was said to be " + what);
    }

    private static String a(ParameterKind kind) {
        return switch (kind) {
            case STACK -> "a stack";
            case CONVOLUTION -> "a convolution";
            case EMBEDDING -> "an embedding";
            case HEAD -> "a head";
            case MATRIX, VECTOR -> throw new IllegalArgumentException(kind + " is not declared");
        };
    }
}
