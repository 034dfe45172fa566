package dev.muonium.pytorch;

import dev.muonium.optim.GroupSpec;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * A parameter group and what belongs to it.
 *
 * @param names which parameters go to it by their names; null if it takes what is routed by kind
 */
record GroupRule(GroupSpec spec, @Nullable Predicate<String> names) {
    boolean takes(FoundParameter parameter) {
        return names != null && parameter.names().stream().anyMatch(names);
    }
}
