package dev.muonium.djl;

import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.util.Pair;
import dev.muonium.optim.ParameterKind;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What each parameter of a block is: by declaration, by the class of the block that owns it (embeddings), by DJL's type of parameter,
 * by its rank, and the last matrix is the head unless heads were declared.
 */
final class Routing {
    private final Map<String, Route> byId;

    private Routing(Map<String, Route> byId) {
        this.byId = byId;
    }

    /**
     * What a caller says about the parameters of a block.
     *
     * @param embeddings names of embeddings
     * @param heads names of heads; null if nothing was said, so that one is looked for
     */
    record Declared(Set<String> embeddings, @Nullable Set<String> heads) {
        boolean has(String name) {
            return embeddings.contains(name) || (heads != null && heads.contains(name));
        }

        /** Checks the names against those of a block. */
        void requireIn(Block block) {
            Set<String> names = new LinkedHashSet<>(block.getParameters().keys());
            for (Set<String> declared : heads == null ? List.of(embeddings) : List.of(embeddings, heads)) {
                for (String name : declared) {
                    if (!names.contains(name)) {
                        throw new IllegalArgumentException("the block has no parameter '" + name
                                + "' to be a head or an embedding; it has " + names);
                    }
                }
            }
        }
    }

    /** Routes the parameters of a block in its order; one that the block has under several names goes by the first. */
    static Routing of(Block block, Declared declared) {
        declared.requireIn(block);
        Map<String, Block> owners = new HashMap<>();
        findOwners(block, owners);
        Map<String, Route> routes = new LinkedHashMap<>();
        for (Pair<String, Parameter> pair : block.getParameters()) {
            Parameter parameter = pair.getValue();
            Route route = route(pair.getKey(), parameter, owners.get(parameter.getId()), declared);
            Route first = routes.putIfAbsent(parameter.getId(), route);
            if (first != null && declared.has(pair.getKey())) { // tied, and declared under its other name
                routes.put(
                        parameter.getId(),
                        new Route(first.name(), parameter, route.kind(), route.reason() + " as " + route.name()));
            }
        }
        if (declared.heads() == null) {
            takeTheLastMatrixForTheHead(routes);
        }
        return new Routing(routes);
    }

    private static void takeTheLastMatrixForTheHead(Map<String, Route> routes) {
        Route last = null;
        for (Route route : routes.values()) {
            last = route.kind() == ParameterKind.MATRIX ? route : last;
        }
        if (last != null) {
            routes.put(
                    last.id(),
                    new Route(
                            last.name(),
                            last.parameter(),
                            ParameterKind.HEAD,
                            "the last matrix, taken for the head; optHead or optNoHead say otherwise"));
        }
    }

    private static void findOwners(Block block, Map<String, Block> owners) {
        for (Parameter parameter : block.getDirectParameters().values()) {
            owners.putIfAbsent(parameter.getId(), block);
        }
        for (Block child : block.getChildren().values()) {
            findOwners(child, owners);
        }
    }

    private static Route route(String name, Parameter parameter, @Nullable Block owner, Declared declared) {
        if (declared.heads() != null && declared.heads().contains(name)) {
            return new Route(name, parameter, ParameterKind.HEAD, "declared a head");
        }
        if (declared.embeddings().contains(name)) {
            return new Route(name, parameter, ParameterKind.EMBEDDING, "declared an embedding");
        }
        String embedding = owner == null ? null : embeddingClass(owner.getClass());
        if (embedding != null) {
            return new Route(name, parameter, ParameterKind.EMBEDDING, "of a block of class " + embedding);
        }
        String type = parameter.getType().name().toLowerCase(Locale.ROOT);
        if (parameter.getType() != Parameter.Type.WEIGHT) {
            return new Route(name, parameter, ParameterKind.VECTOR, type);
        }
        if (parameter.getShape() == null) {
            return new Route(name, parameter, ParameterKind.VECTOR, "weight of a shape that is not known yet");
        }
        int rank = parameter.getShape().dimension();
        return rank == 2
                ? new Route(name, parameter, ParameterKind.MATRIX, "weight with 2 axes")
                : new Route(name, parameter, ParameterKind.VECTOR, "weight with " + rank + " axes, which is no matrix");
    }

    /** The class, or superclass, that calls itself an embedding: DJL's have no common type, and apps have their own. */
    private static @Nullable String embeddingClass(Class<?> type) {
        for (Class<?> c = type; c != null; c = c.getSuperclass()) {
            if (c.getSimpleName().endsWith("Embedding")) {
                return c.getSimpleName();
            }
        }
        return null;
    }

    /** The route of a parameter's id, or null. */
    @Nullable
    Route find(String id) {
        return byId.get(id);
    }

    /** All routes in the block's order. */
    List<Route> routes() {
        return List.copyOf(byId.values());
    }

    /** Those that get a gradient now, in the block's order. */
    List<Route> trained() {
        return byId.values().stream().filter(Route::isTrained).toList();
    }

    /** A table of all parameters. */
    String describe() {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"parameter", "shape", "kind", "because"});
        for (Route route : byId.values()) {
            String reason = route.isTrained() ? route.reason() : route.reason() + " (frozen)";
            rows.add(new String[] {route.name(), route.shape(), route.kind().name(), reason});
        }
        int[] widths = new int[3];
        for (String[] row : rows) {
            for (int i = 0; i < widths.length; i++) {
                widths[i] = Math.max(widths[i], row[i].length());
            }
        }
        StringBuilder table = new StringBuilder();
        for (String[] row : rows) {
            for (int i = 0; i < widths.length; i++) {
                table.append(row[i]).append(" ".repeat(widths[i] - row[i].length() + 2));
            }
            table.append(row[widths.length]).append('\n');
        }
        return table.toString();
    }
}
