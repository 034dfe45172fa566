package dev.muonium.jmh.schedules;

import dev.muonium.checkpoint.StoredTensor;
import java.util.Arrays;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;
import org.ejml.dense.row.SingularOps_DDRM;
import org.ejml.dense.row.factory.DecompositionFactory_DDRM;
import org.ejml.interfaces.decomposition.SingularValueDecomposition_F64;

/** A recorded update with its singular values, in descending order, and its polar factor, in FP64. Of {@code n × m} with n ≤ m. */
final class Update {
    final StoredTensor stored;
    private final DMatrixRMaj matrix;
    private final Decomposition exact;

    /** {@code matrix = left·diag(sigma)·right} with orthonormal columns of left and rows of right. */
    private record Decomposition(DMatrixRMaj left, double[] sigma, DMatrixRMaj right) {
        static Decomposition of(DMatrixRMaj matrix) {
            SingularValueDecomposition_F64<DMatrixRMaj> svd =
                    DecompositionFactory_DDRM.svd(matrix.numRows, matrix.numCols, true, true, true);
            if (!svd.decompose(matrix.copy())) {
                throw new IllegalStateException("the singular values of a matrix did not converge");
            }
            DMatrixRMaj left = svd.getU(null, false);
            double[] sigma = svd.getSingularValues();
            DMatrixRMaj right = svd.getV(null, true);
            SingularOps_DDRM.descendingOrder(left, false, sigma, sigma.length, right, true);
            return new Decomposition(left, sigma, right);
        }

        DMatrixRMaj with(double[] values) {
            DMatrixRMaj scaled = left.copy();
            CommonOps_DDRM.multCols(scaled, values);
            DMatrixRMaj product = new DMatrixRMaj(left.numRows, right.numCols);
            CommonOps_DDRM.mult(scaled, right, product);
            return product;
        }
    }

    Update(StoredTensor stored) {
        this.stored = stored;
        this.matrix = wide(stored.toDoubles());
        this.exact = Decomposition.of(matrix);
    }

    int rows() {
        return Math.toIntExact(stored.shape().get(0));
    }

    int cols() {
        return Math.toIntExact(stored.shape().get(1));
    }

    /** Whether it has a direction at all: some matrices begin with a gradient of zero. */
    boolean isZero() {
        return exact.sigma[0] == 0;
    }

    double largestOfFrobenius() {
        double sum = 0;
        for (double value : exact.sigma) {
            sum += value * value;
        }
        return exact.sigma[0] / Math.sqrt(sum);
    }

    private DMatrixRMaj wide(double[] values) {
        DMatrixRMaj dense = DMatrixRMaj.wrap(rows(), cols(), values);
        return rows() <= cols() ? dense : CommonOps_DDRM.transpose(dense, null);
    }

    /** What a candidate would give without rounding. */
    Figures exactly(Candidate candidate) {
        if (!candidate.equilibrated()) {
            double[] result = candidate.apply(exact.sigma);
            double inner = 0;
            for (double value : result) {
                inner += value;
            }
            return Figures.of(result, inner);
        }
        Decomposition scaled = Decomposition.of(equilibrated());
        double[] result = candidate.apply(scaled.sigma);
        return Figures.of(result, inner(scaled.with(result)));
    }

    private DMatrixRMaj equilibrated() {
        DMatrixRMaj gram = new DMatrixRMaj(matrix.numRows, matrix.numRows);
        CommonOps_DDRM.multTransB(matrix, matrix, gram);
        double[] scale = new double[matrix.numRows];
        for (int i = 0; i < scale.length; i++) {
            double sum = 0;
            for (int j = 0; j < scale.length; j++) {
                sum += Math.abs(gram.get(i, j));
            }
            scale[i] = sum == 0 ? 0 : 1 / Math.sqrt(sum);
        }
        DMatrixRMaj result = matrix.copy();
        CommonOps_DDRM.multRows(scale, result);
        return result;
    }

    /** A result of {@link #rows} × {@link #cols} that was computed. */
    Figures of(double[] result) {
        DMatrixRMaj computed = wide(result);
        return Figures.of(Decomposition.of(computed).sigma, inner(computed));
    }

    private double inner(DMatrixRMaj result) {
        double[] ones = new double[exact.sigma.length];
        Arrays.fill(ones, 1);
        double[] polar = exact.with(ones).data;
        double sum = 0;
        for (int i = 0; i < polar.length; i++) {
            sum += polar[i] * result.data[i];
        }
        return sum;
    }
}
