package dev.muonium.ortho;

import java.util.ArrayList;
import java.util.List;

/**
 * Strings the stages of an iteration together: what each {@link Way} does, said once for every kind of matrix. A subclass lays out
 * the workspace and makes the stages.
 *
 * @param <M> a small symmetric matrix, n × n
 */
abstract class Evaluation<M> {
    private final List<Stage> stages = new ArrayList<>();
    private final List<Normalized> firstStep = new ArrayList<>();

    /** The matrices that a way needs. */
    static int squareMatrices(Way way) {
        return way instanceof Way.Gram ? 4 : 2;
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

    /** {@code p ← b·A + c·A²}, and the multiple of the identity where {@link #identityApart} says so. */
    abstract void polynomial(Coefficients coefficients, M a, M p, boolean withIdentity, boolean upper, boolean isFirst);

    /** Of two polynomials of one symmetric matrix, so that the product is symmetric. */
    abstract void symmetricProduct(M left, M right, M out);

    /** {@code X ← P·X}, or {@code X·P} for a tall X. */
    abstract void applyToX(M p, boolean isLast);

    /** {@code X ← alpha·X + P·X}, or {@code alpha·X + X·P} for a tall X. */
    abstract void applyToX(double alpha, M p, boolean isFirst);

    /** Whether {@code a·X} is added to {@code P·X} rather than {@code a·I} to P, where a way leaves it open. */
    abstract boolean identityApart();

    final void add(Stage stage) {
        stages.add(stage);
    }

    /** A stage of the first step, whose coefficients take up the normalization. */
    final void addNormalized(Normalized stage) {
        firstStep.add(stage);
    }

    final Stage[] stages() {
        return stages.toArray(Stage[]::new);
    }

    final Normalized[] firstStep() {
        return firstStep.toArray(Normalized[]::new);
    }

    final void string(List<Coefficients> steps, Way way) {
        stages.add(rescale());
        switch (way) {
            case Way.Plain plain -> stepByStep(steps, false);
            case Way.Symmetric symmetric -> stepByStep(steps, true);
            case Way.Gram gram -> gram(steps, gram.restartAfter());
        }
    }

    private void stepByStep(List<Coefficients> steps, boolean upper) {
        M a = square(0);
        M p = square(1);
        for (int step = 0; step < steps.size(); step++) {
            Coefficients coefficients = steps.get(step);
            gramMatrix(a, upper);
            polynomial(coefficients, a, p, !identityApart(), upper, step == 0);
            if (identityApart()) {
                applyToX(coefficients.a(), p, step == 0);
            } else {
                applyToX(p, step == steps.size() - 1);
            }
        }
    }

    private void gram(List<Coefficients> steps, int restartAfter) {
        M r = square(0);
        M z = square(1);
        M q = square(2);
        M t = square(3);
        for (int begin = 0; begin < steps.size(); begin += restartAfter) {
            int end = Math.min(begin + restartAfter, steps.size());
            gramMatrix(r, true);
            for (int step = begin; step < end; step++) {
                polynomial(steps.get(step), r, z, true, true, step == 0);
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
