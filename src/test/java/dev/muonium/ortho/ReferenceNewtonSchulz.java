package dev.muonium.ortho;

import dev.muonium.memory.Bf16;

/** Newton-Schulz as it is written down, in FP64 and without any trick: the oracle of the fast ways. */
public final class ReferenceNewtonSchulz {
    private ReferenceNewtonSchulz() {}

    /** The result for {@code u} of {@code rows × cols}, row-major. */
    public static double[] apply(NewtonSchulz spec, double[] u, int rows, int cols) {
        if (rows > cols) {
            return transpose(apply(spec, transpose(u, rows, cols), cols, rows), cols, rows);
        }
        double norm = (spec.norm() == NormConvention.GRAM ? gramNorm(u, rows, cols) : norm(u))
                * spec.schedule().normFactor();
        double divisor =
                spec.norm() == NormConvention.ADD_EPSILON ? norm + spec.epsilon() : Math.max(norm, spec.epsilon());
        double[] x = new double[u.length];
        for (int i = 0; i < x.length; i++) {
            x[i] = u[i] / divisor;
        }
        for (Coefficients step : spec.schedule().steps()) {
            double[] a = multiply(x, transpose(x, rows, cols), rows, cols, rows);
            double[] squared = multiply(a, a, rows, rows, rows);
            double[] factor = new double[a.length];
            for (int i = 0; i < a.length; i++) {
                factor[i] = step.d() * a[i] + step.e() * squared[i];
            }
            double[] higher = multiply(squared, factor, rows, rows, rows);
            for (int i = 0; i < a.length; i++) {
                a[i] = step.b() * a[i] + step.c() * squared[i] + higher[i];
            }
            double[] product = multiply(a, x, rows, rows, cols);
            for (int i = 0; i < x.length; i++) {
                x[i] = step.a() * x[i] + product[i];
            }
        }
        return x;
    }

    /** As PyTorch runs it in bf16: the result of every operation is rounded. */
    public static float[] applyInBf16(NewtonSchulz spec, float[] u, int rows, int cols) {
        double[] x = new double[u.length];
        for (int i = 0; i < x.length; i++) {
            x[i] = round(u[i]);
        }
        if (rows > cols) {
            x = transpose(x, rows, cols);
        }
        int n = Math.min(rows, cols);
        int m = Math.max(rows, cols);
        double divisor = round(round(norm(x)) + spec.epsilon());
        for (int i = 0; i < x.length; i++) {
            x[i] = round(x[i] / divisor);
        }
        for (Coefficients step : spec.schedule().steps()) {
            double[] a = rounded(multiply(x, transpose(x, n, m), n, m, n));
            double[] squared = rounded(multiply(a, a, n, n, n));
            for (int i = 0; i < a.length; i++) {
                a[i] = round(round(step.b() * a[i]) + round(step.c() * squared[i]));
            }
            double[] product = rounded(multiply(a, x, n, n, m));
            for (int i = 0; i < x.length; i++) {
                x[i] = round(round(step.a() * x[i]) + product[i]);
            }
        }
        double[] result = rows > cols ? transpose(x, cols, rows) : x;
        float[] floats = new float[result.length];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = (float) result[i];
        }
        return floats;
    }

    private static double round(double value) {
        return Bf16.toFloat(Bf16.fromFloat((float) value));
    }

    private static double[] rounded(double[] values) {
        for (int i = 0; i < values.length; i++) {
            values[i] = round(values[i]);
        }
        return values;
    }

    public static double norm(double[] x) {
        double sum = 0;
        for (double value : x) {
            sum += value * value;
        }
        return Math.sqrt(sum);
    }

    /** The root of the Frobenius norm of u·uᵀ. */
    static double gramNorm(double[] u, int rows, int cols) {
        return Math.sqrt(norm(multiply(u, transpose(u, rows, cols), rows, cols, rows)));
    }

    /** ‖x - reference‖ / ‖reference‖. */
    public static double relativeError(float[] x, double[] reference) {
        double error = 0;
        for (int i = 0; i < x.length; i++) {
            error += (x[i] - reference[i]) * (x[i] - reference[i]);
        }
        return Math.sqrt(error) / norm(reference);
    }

    private static double[] multiply(double[] a, double[] b, int m, int k, int n) {
        double[] c = new double[m * n];
        for (int i = 0; i < m; i++) {
            for (int p = 0; p < k; p++) {
                double value = a[i * k + p];
                for (int j = 0; j < n; j++) {
                    c[i * n + j] += value * b[p * n + j];
                }
            }
        }
        return c;
    }

    private static double[] transpose(double[] x, int rows, int cols) {
        double[] t = new double[x.length];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < cols; j++) {
                t[j * rows + i] = x[i * cols + j];
            }
        }
        return t;
    }
}
