package dev.muonium.pytorch;

import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import java.util.function.UnaryOperator;

/**
 * Where a parameter goes.
 *
 * @param group the name of its group
 * @param split how its matrices are cut; identity if they are not
 */
record Route(ParameterKind kind, String group, UnaryOperator<Parameter> split) {
    /**
     * The parameter as the optimizer gets it.
     *
     * @throws IllegalArgumentException if its rows do not add up, or the split made another parameter of it
     */
    Parameter of(Parameter whole) {
        Parameter pieces = split.apply(whole);
        if (pieces == null
                || !pieces.weights().equals(whole.weights())
                || !pieces.name().equals(whole.name())) {
            throw new IllegalArgumentException("the split of parameter '" + whole.name() + "' returned " + pieces
                    + "; it must return what splitRows and splitEvery make of the parameter that it is given");
        }
        return pieces.inGroup(group);
    }
}
