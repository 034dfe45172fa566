package dev.muonium.djl;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.util.Pair;
import dev.muonium.optim.ParameterKind;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
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
     * Routes the parameters of a block in its order; one that the block has under several names goes by the first.
     *
     * @throws IllegalArgumentException if what was declared does not fit the block, as far as its shapes are known
     */
    static Routing of(Block block, Declared declared) {
        declared.requireIn(block);
        Map<String, Block> owners = new HashMap<>();
        findOwners(block, owners);
        Map<String, List<String>> names = new LinkedHashMap<>();
        Map<String, Route> routes = new LinkedHashMap<>();
        for (Pair<String, Parameter> pair : block.getParameters()) {
            Parameter parameter = pair.getValue();
            List<String> own = names.computeIfAbsent(parameter.getId(), _ -> new ArrayList<>());
            own.add(pair.getKey());
            routes.put(parameter.getId(), route(own, parameter, owners.get(parameter.getId()), declared));
        }
        if (declared.looksForHead()) {
            takeTheLastMatrixForTheHead(routes);
        }
        requireForMuon(routes.values());
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
                    last.as(
                            ParameterKind.HEAD,
                            "the last matrix, taken for the head; optHead or optNoHead say otherwise"));
        }
    }

    /** Before all shapes are known a later matrix may become the head. */
    private static void requireForMuon(Collection<Route> routes) {
        if (routes.stream().anyMatch(route -> route.parameter().getShape() == null)) {
            return;
        }
        for (Route route : routes) {
            if (route.isSplit() && !route.kind().isForMuon()) {
                throw new IllegalArgumentException("parameter '" + route.name() + "' is a " + route.kind() + " ("
                        + route.reason() + "), for AdamW, and only what goes to Muon can be split");
            }
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

    private static Route route(List<String> names, Parameter parameter, @Nullable Block owner, Declared declared) {
        List<Declared.Split> splits = declared.splits(names);
        Route route = new Route(
                names.getFirst(), parameter, ParameterKind.VECTOR, "", splits.isEmpty() ? null : splits.getFirst());
        List<ParameterKind> said = declared.kinds(names);
        if (!said.isEmpty()) {
            requireRank(route, said.getLast());
            return route.as(said.getLast(), "declared " + Declared.a(said.getLast()) + otherName(names, declared));
        }
        String embedding = owner == null ? null : embeddingClass(owner.getClass());
        if (embedding != null) {
            return route.as(ParameterKind.EMBEDDING, "of a block of class " + embedding);
        }
        if (parameter.getType() != Parameter.Type.WEIGHT) {
            return route.as(ParameterKind.VECTOR, parameter.getType().name().toLowerCase(Locale.ROOT));
        }
        if (parameter.getShape() == null) {
            return route.as(ParameterKind.VECTOR, "weight of a shape that is not known yet");
        }
        int rank = parameter.getShape().dimension();
        return rank == 2
                ? route.as(ParameterKind.MATRIX, "weight with 2 axes")
                : route.as(
                        ParameterKind.VECTOR,
                        "weight with " + rank + " axes, which is no matrix"
                                + (rank > 2 ? "; optConvolution or optStack say otherwise" : ""));
    }

    /** The name that a tied parameter was declared under, where it is not the first. */
    private static String otherName(List<String> names, Declared declared) {
        return declared.kinds(names.subList(0, 1)).isEmpty()
                ? names.stream()
                        .filter(name -> !declared.kinds(List.of(name)).isEmpty())
                        .findFirst()
                        .map(name -> " as " + name)
                        .orElseThrow()
                : "";
    }

    private static void requireRank(Route route, ParameterKind kind) {
        Shape shape = route.parameter().getShape();
        int rank = shape == null ? 3 : shape.dimension();
        if (kind == ParameterKind.CONVOLUTION && (rank < 3 || rank > 5)) {
            throw wrongRank(route, "a convolution, whose kernel has 3 to 5 axes, as out × in × height × width");
        }
        if (kind == ParameterKind.STACK && rank < 3) {
            throw wrongRank(route, "a stack, which has 3 axes or more, as experts × rows × cols");
        }
    }

    private static IllegalArgumentException wrongRank(Route route, String what) {
        return new IllegalArgumentException(
                "parameter '" + route.name() + "' has the shape " + route.shape() + ", and was said to be " + what);
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
            String reason =
                    route.reason() + (route.isSplit() ? ", split" : "") + (route.isTrained() ? "" : " (frozen)");
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
