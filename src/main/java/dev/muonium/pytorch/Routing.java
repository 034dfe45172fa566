package dev.muonium.pytorch;

import dev.muonium.optim.GroupSpec;
import dev.muonium.optim.Muon;
import dev.muonium.optim.ParameterKind;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Decides what a parameter is and which group updates it. Not thread-safe. */
final class Routing {
    private final List<GroupRule> rules = new ArrayList<>();
    private final Set<String> heads = new LinkedHashSet<>();
    private final Set<String> embeddings = new LinkedHashSet<>();
    private boolean headless;

    /** What a parameter is, and the name of its group. */
    record Route(ParameterKind kind, String group) {}

    void add(GroupRule rule) {
        rules.add(rule);
    }

    void addHeads(List<String> names) {
        heads.addAll(names);
    }

    void addEmbeddings(List<String> names) {
        embeddings.addAll(names);
    }

    void withoutHead() {
        headless = true;
    }

    List<GroupRule> rules() {
        return rules;
    }

    ParameterKind kind(FoundParameter parameter) {
        if (parameter.names().stream().anyMatch(heads::contains)) {
            return ParameterKind.HEAD;
        }
        if (parameter.isLookedUp() || parameter.names().stream().anyMatch(embeddings::contains)) {
            return ParameterKind.EMBEDDING;
        }
        return parameter.isMatrix() ? ParameterKind.MATRIX : ParameterKind.VECTOR;
    }

    /**
     * The first group whose condition holds for the parameter's name, else the first one without a condition of the optimizer that its kind
     * is for.
     *
     * @throws IllegalArgumentException if there is none
     */
    Route route(FoundParameter parameter) {
        ParameterKind kind = kind(parameter);
        for (GroupRule rule : rules) {
            if (rule.takes(parameter)) {
                return new Route(kind, rule.spec().name());
            }
        }
        boolean forMuon = kind == ParameterKind.MATRIX;
        for (GroupRule rule : rules) {
            if (rule.names() == null && rule.spec() instanceof Muon == forMuon) {
                return new Route(kind, rule.spec().name());
            }
        }
        throw new IllegalArgumentException("parameter '" + parameter.name() + "' is a " + kind + ", for "
                + (forMuon ? "Muon" : "AdamW") + ", and none of the groups "
                + rules.stream().map(GroupRule::spec).map(GroupSpec::name).toList()
                + " takes it; add a group of " + (forMuon ? "Muon" : "AdamW")
                + " without a condition, or one whose condition holds for this name");
    }

    /**
     * Checks what was said about a module.
     *
     * @throws IllegalArgumentException if a name is none of its parameters', or matrices would go to Muon by their kind and nothing was said
     *     about a head
     */
    void requireFits(List<FoundParameter> all) {
        requireKnown("head", heads, all);
        requireKnown("embedding", embeddings, all);
        if (headless && !heads.isEmpty()) {
            throw new IllegalArgumentException(
                    "the module was said to have the head " + heads + " and to have none; say one of both");
        }
        boolean hasHead = headless || !heads.isEmpty() || all.stream().anyMatch(Routing::isTiedTable);
        List<String> matrices = all.stream()
                .filter(FoundParameter::isTrained)
                .filter(one -> kind(one) == ParameterKind.MATRIX)
                .filter(one -> rules.stream().noneMatch(rule -> rule.takes(one)))
                .map(FoundParameter::name)
                .toList();
        if (!hasHead && !matrices.isEmpty()) {
            throw new IllegalArgumentException("which of the matrices " + matrices
                    + " is the head? Muon is for hidden matrices, not for the last one, which gives the logits; name it"
                    + " with head(...), or say withoutHead()");
        }
    }

    /** An embedding that is the head as well. */
    private static boolean isTiedTable(FoundParameter parameter) {
        return parameter.isLookedUp() && parameter.names().size() > 1;
    }

    private static void requireKnown(String what, Set<String> names, List<FoundParameter> all) {
        for (String name : names) {
            if (all.stream().noneMatch(one -> one.names().contains(name))) {
                throw new IllegalArgumentException("the module has no parameter '" + name + "', which was said to be "
                        + (what.equals("head") ? "a head" : "an embedding") + "; it has "
                        + all.stream().flatMap(one -> one.names().stream()).toList());
            }
        }
    }
}
