package dev.muonium.pytorch;

import dev.muonium.optim.GroupSpec;
import dev.muonium.optim.Muon;
import dev.muonium.optim.ParameterKind;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.UnaryOperator;

/** Decides what a parameter is and which group updates it. Not thread-safe. */
final class Routing {
    private final List<GroupRule> rules = new ArrayList<>();
    private final Declarations declarations = new Declarations();
    private boolean headless;

    void add(GroupRule rule) {
        rules.add(rule);
    }

    void withoutHead() {
        headless = true;
    }

    /** What is said about parameters by their names. */
    Declarations declarations() {
        return declarations;
    }

    List<GroupRule> rules() {
        return rules;
    }

    ParameterKind kind(FoundParameter parameter) {
        return declarations.kind(parameter).orElseGet(() -> {
            if (parameter.isLookedUp()) {
                return ParameterKind.EMBEDDING;
            }
            return parameter.isMatrix() ? ParameterKind.MATRIX : ParameterKind.VECTOR;
        });
    }

    /**
     * The first group whose condition holds for the parameter's name, else the first one without a condition of the optimizer that its kind
     * is for.
     *
     * @throws IllegalArgumentException if there is none
     */
    Route route(FoundParameter parameter) {
        return new Route(
                kind(parameter),
                group(parameter).name(),
                declarations.split(parameter).orElse(UnaryOperator.identity()));
    }

    private GroupSpec group(FoundParameter parameter) {
        for (GroupRule rule : rules) {
            if (rule.takes(parameter)) {
                return rule.spec();
            }
        }
        ParameterKind kind = kind(parameter);
        boolean forMuon = kind.isForMuon();
        for (GroupRule rule : rules) {
            if (rule.names() == null && rule.spec() instanceof Muon == forMuon) {
                return rule.spec();
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
     * @throws IllegalArgumentException if it does not fit the parameters, what is to be split does not go to Muon, or matrices would go to Muon by their
     *     kind and nothing was said about a head
     */
    void requireFits(List<FoundParameter> all) {
        declarations.requireFit(all);
        requireHead(all);
        all.stream()
                .filter(parameter -> declarations.split(parameter).isPresent())
                .forEach(this::requireForMuon);
    }

    private void requireHead(List<FoundParameter> all) {
        Set<String> heads = declarations.names(ParameterKind.HEAD);
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

    private void requireForMuon(FoundParameter parameter) {
        GroupSpec group = group(parameter);
        if (!(group instanceof Muon)) {
            boolean undeclared = kind(parameter) == ParameterKind.VECTOR
                    && parameter.tensor().dim() > 2;
            throw new IllegalArgumentException("parameter '" + parameter.name() + "' is a " + kind(parameter)
                    + " in the group '" + group.name() + "' of AdamW, and only what goes to Muon can be split"
                    + (undeclared ? "; say convolution(...) or stack(...) if it is one" : ""));
        }
    }
}
