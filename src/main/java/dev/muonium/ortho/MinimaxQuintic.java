package dev.muonium.ortho;

/**
 * The odd polynomial of degree 5 that is nearest to 1 on an interval, by Remez' exchange: its error takes the values -e, e, -e, e at
 * the interval's ends and at its two extrema between them.
 *
 * @param coefficients the polynomial
 * @param error e, the largest distance from 1 on the interval; the polynomial's values lie in {@code [1 - e, 1 + e]}
 */
record MinimaxQuintic(Coefficients coefficients, double error) {
    private static final int ROUNDS = 100;
    private static final double SETTLED = 1e-14;

    /** Of the interval {@code [low, high]}, {@code 0 < low < high}. */
    static MinimaxQuintic on(double low, double high) {
        double[] points = {low, low + (high - low) / 3, low + (high - low) * 2 / 3, high};
        double[] solved = equioscillating(points);
        for (int round = 0; round < ROUNDS; round++) {
            // p'(x) = a + 3b·x² + 5c·x⁴ vanishes at both extrema.
            double a = solved[0];
            double b = 3 * solved[1];
            double c = 5 * solved[2];
            double root = Math.sqrt(Math.max(0, b * b - 4 * a * c));
            double first = Math.sqrt(Math.max(low * low, (-b - root) / (2 * c)));
            double second = Math.sqrt(Math.max(low * low, (-b + root) / (2 * c)));
            double moved = Math.abs(first - points[1]) + Math.abs(second - points[2]);
            points[1] = first;
            points[2] = second;
            solved = equioscillating(points);
            if (moved <= SETTLED * high) {
                break;
            }
        }
        return new MinimaxQuintic(new Coefficients(solved[0], solved[1], solved[2]), solved[3]);
    }

    /** a, b, c and e with {@code a·x + b·x³ + c·x⁵ ± e = 1} at the four points, + at the first. */
    private static double[] equioscillating(double[] points) {
        int n = points.length;
        double[][] rows = new double[n][];
        for (int i = 0; i < n; i++) {
            double x = points[i];
            double x3 = x * x * x;
            rows[i] = new double[] {x, x3, x3 * x * x, i % 2 == 0 ? 1 : -1, 1};
        }
        for (int column = 0; column < n; column++) {
            int pivot = column;
            for (int i = column + 1; i < n; i++) {
                if (Math.abs(rows[i][column]) > Math.abs(rows[pivot][column])) {
                    pivot = i;
                }
            }
            double[] swapped = rows[column];
            rows[column] = rows[pivot];
            rows[pivot] = swapped;
            for (int i = 0; i < n; i++) {
                double factor = i == column ? 0 : rows[i][column] / rows[column][column];
                for (int j = column; j <= n && factor != 0; j++) {
                    rows[i][j] -= factor * rows[column][j];
                }
            }
        }
        double[] solution = new double[n];
        for (int i = 0; i < n; i++) {
            solution[i] = rows[i][n] / rows[i][i];
        }
        return solution;
    }
}
