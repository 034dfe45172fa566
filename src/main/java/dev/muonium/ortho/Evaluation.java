package dev.muonium.ortho;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Strings the stages of an iteration together: what each {@link Way} does, said once for every kind of matrix. A subclass lays out
 * the workspace and makes the stages.
 *
 * @param <M> a small symmetric matrix, n × n
 */
abstract class Evaluation<M> {
    private final NewtonSchulz spec;
    private final FirstStep firstStep;
    private final List<Stage> stages = new ArrayList<>();
    private @Nullable GramNorm gramNorm;

    Evaluation(NewtonSchulz spec) {
        this.spec = spec;
        this.firstStep = new FirstStep(spec);
    }

    /** The small matrices that a way needs; a polynomial of degree above 5 needs room for {@code A²} and a factor. */
    static int squareMatrices(NewtonSchulz spec, Way way) {
        boolean quintic = spec.schedule().steps().stream().allMatch(Coefficients::isQuintic);
        if (way instanceof Way.Gram) {
            return quintic ? 4 : 5;
        }
        return quintic ? 2 : 4;
    }

    /** Where U goes, {@code rows × cols} and dense. */
    abstract Matrix input();

    /** Where the result is once all stages have run, {@code rows × cols} and dense. */
    abstract Matrix output();

    /** What comes before the first step: multiplies X by a power of two. */
    abstract RescaleStage rescale();

    /** One of the small matrices, from 0. */
    abstract M square(int index);

    /** {@code out ← X·Xᵀ}, or {@code Xᵀ·X} of a tall X. */
    abstract void gramMatrix(M out, boolean upper);

    /** {@code P ← b·A + c·A²}, with {@code a·I} or without. */
    abstract void quintic(Coefficients coefficients, M a, M p, boolean withIdentity, boolean upper, boolean isFirst);

    /**
     * {@code P ← b·A + S·(c·I + d·A + e·S)} with {@code S = A²}, with {@code a·I} or without.
     *
     * @param s where S goes
     * @param w where the factor of S goes
     */
    abstract void nonic(
            Coefficients coefficients, M a, M p, M s, M w, boolean withIdentity, boolean upper, boolean isFirst);

    /** The sum of the squares of a small matrix, as the norm of what it is the Gram matrix of. */
    abstract GramNorm normOf(M gram, FirstStep normalized);

    /** Of two polynomials of one symmetric matrix, so that the product is symmetric. */
    abstract void symmetricProduct(M left, M right, M out);

    /** {@code X ← P·X}, or {@code X·P} for a tall X. */
    abstract void applyToX(M p, boolean isLast);

    /** The same for a single step, and {@code a·X} added if P is {@link #identityApart without the identity}. */
    abstract void applyStepToX(Coefficients coefficients, M p, boolean isFirst, boolean isLast);

    /** Whether {@code a·X} is added to {@code P·X} rather than {@code a·I} to P, where a way leaves it open. */
    abstract boolean identityApart();

    final void add(Stage stage) {
        stages.add(stage);
    }

    /** A stage with coefficients, which take up the normalization if it is of the first step. */
    final <S extends Stage & Normalized> void add(S stage, boolean isFirst) {
        if (isFirst) {
            firstStep.add(stage);
        }
        stages.add(stage);
    }

    final Stage[] stages() {
        return stages.toArray(Stage[]::new);
    }

    final FirstStep firstStep() {
        return firstStep;
    }

    /** What normalizes by the first Gram matrix, or null where the norm of U does. */
    final @Nullable GramNorm gramNorm() {
        return gramNorm;
    }

    /** Called by a subclass once its workspace is laid out. */
    final void string(Way way) {
        List<Coefficients> steps = spec.schedule().steps();
        stages.add(rescale());
        switch (way) {
            case Way.Plain plain -> stepByStep(steps, false);
            case Way.Symmetric symmetric -> stepByStep(steps, true);
            case Way.Gram gram -> gram(steps, gram.first(), gram.then());
        }
    }

    private void firstGramMatrix(M gram) {
        if (spec.norm() == NormConvention.GRAM) {
            gramNorm = normOf(gram, firstStep);
            stages.add(gramNorm.sums());
            stages.add(gramNorm.factor());
        }
    }

    private void stepByStep(List<Coefficients> steps, boolean upper) {
        M a = square(0);
        M p = square(1);
        for (int step = 0; step < steps.size(); step++) {
            Coefficients coefficients = steps.get(step);
            gramMatrix(a, upper);
            if (step == 0) {
                firstGramMatrix(a);
            }
            if (coefficients.isQuintic()) {
                quintic(coefficients, a, p, !identityApart(), upper, step == 0);
            } else {
                nonic(coefficients, a, p, square(2), square(3), !identityApart(), upper, step == 0);
            }
            applyStepToX(coefficients, p, step == 0, step == steps.size() - 1);
        }
    }

    private void gram(List<Coefficients> steps, int first, int then) {
        M r = square(0);
        M z = square(1);
        M q = square(2);
        M t = square(3);
        int end;
        for (int begin = 0; begin < steps.size(); begin = end) {
            end = Math.min(begin + (begin == 0 ? first : then), steps.size());
            gramMatrix(r, true);
            if (begin == 0) {
                firstGramMatrix(r);
            }
            for (int step = begin; step < end; step++) {
                if (steps.get(step).isQuintic()) {
                    quintic(steps.get(step), r, z, true, true, step == 0);
                } else {
                    nonic(steps.get(step), r, z, t, square(4), true, true, step == 0);
                }
                if (step + 1 < end) {
                    symmetricProduct(r, z, t);
                    symmetricProduct(t, z, r);
                }
                M product;
                if (step == begin) {
                    product = z; // Q = I until here
                    z = q;
                } else {
                    symmetricProduct(q, z, t);
                    product = t;
                    t = q;
                }
                q = product;
            }
            applyToX(q, end == steps.size());
        }
    }
}
