package dev.muonium.djl;

import ai.djl.nn.Block;
import ai.djl.util.Pair;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/**
 * What a caller says about the parameters of a block.
 *
 * @param kinds the names that were said to be of each kind
 * @param looksForHead whether nothing was said about heads, so that one is looked for
 * @param splits how matrices are cut
 */
record Declared(Map<ParameterKind, Set<String>> kinds, boolean looksForHead, List<Split> splits) {
    /** Says how the matrices of a parameter are cut. */
    record Split(String name, UnaryOperator<Parameter> how) {}

    /** What was said of any of these names; of a tied parameter there may be two things that both are true. */
    List<ParameterKind> kinds(Collection<String> names) {
        return kinds.entrySet().stream()
                .filter(entry -> names.stream().anyMatch(entry.getValue()::contains))
                .map(Map.Entry::getKey)
                .sorted()
                .toList();
    }

    /** How the parameter of these names is cut, if that was said. */
    List<Split> splits(Collection<String> names) {
        return splits.stream().filter(split -> names.contains(split.name())).toList();
    }

    /**
     * Checks the names against those of a block, and that one thing was said of each.
     *
     * @throws IllegalArgumentException if that is not so
     */
    void requireIn(Block block) {
        Set<String> known = new LinkedHashSet<>(block.getParameters().keys());
        kinds.forEach((kind, names) -> names.forEach(name -> requireKnown(a(kind), name, known)));
        splits.forEach(split -> requireKnown("split", split.name(), known));
        Map<String, Set<String>> tied = new LinkedHashMap<>();
        for (Pair<String, ai.djl.nn.Parameter> pair : block.getParameters()) {
            requireOne(List.of(pair.getKey()), kinds(List.of(pair.getKey())));
            tied.computeIfAbsent(pair.getValue().getId(), _ -> new LinkedHashSet<>())
                    .add(pair.getKey());
        }
        tied.values().forEach(this::requireOne);
    }

    private void requireOne(Set<String> names) {
        List<ParameterKind> said = kinds(names);
        if (!said.equals(List.of(ParameterKind.EMBEDDING, ParameterKind.HEAD))) { // which a tied table is
            requireOne(names, said);
        }
        if (splits(names).size() > 1) {
            throw new IllegalArgumentException("parameter '" + String.join(" = ", names)
                    + "' was split twice; say it in one call, which may cut again what it has cut");
        }
    }

    private static void requireOne(Collection<String> names, List<ParameterKind> said) {
        if (said.size() > 1) {
            throw new IllegalArgumentException("parameter '" + String.join(" = ", names) + "' was said to be "
                    + said.stream().map(Declared::a).collect(Collectors.joining(" and ")) + "; say one of both");
        }
    }

    private static void requireKnown(String what, String name, Set<String> known) {
        if (!known.contains(name)) {
            throw new IllegalArgumentException(
                    "the block has no parameter '" + name + "', which was said to be " + what + "; it has " + known);
        }
    }

    /** As sentences have it. */
    static String a(ParameterKind kind) {
        return switch (kind) {
            case STACK -> "a stack";
            case CONVOLUTION -> "a convolution";
            case EMBEDDING -> "an embedding";
            case HEAD -> "a head";
            case MATRIX, VECTOR -> throw new IllegalArgumentException(kind + " is not declared");
        };
    }
}
