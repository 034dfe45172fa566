package dev.muonium.ortho;

/**
 * The odd polynomial of a degree that is nearest to 1 on an interval, by Remez' exchange: its error takes the values -e, e, -e, ...
 * at the interval's ends and at all of its extrema between them.
 *
 * @param coefficients the polynomial
 * @param error e, the largest distance from 1 on the interval; the polynomial's values lie in {@code [1 - e, 1 + e]}
 */
record MinimaxPolynomial(Coefficients coefficients, double error) {
    private static final int MOST_TERMS = 5;
    private static final int ROUNDS = 100;
    private static final double SETTLED = 1e-14;

    /** Points, evenly apart by their logarithms, between which at most one extremum is looked for. */
    private static final int GRID = 4096;

    private static final int HALVINGS = 60;

    /**
     * Of the interval {@code [low, high]}, {@code 0 < low < high}.
     *
     * @param degree 3, 5, 7 or 9
     */
    static MinimaxPolynomial on(double low, double high, int degree) {
        int terms = (degree + 1) / 2;
        double[] points = new double[terms + 1];
        for (int i = 0; i <= terms; i++) {
            // Chebyshev's: the extrema of the best polynomial crowd towards the ends.
            points[i] = low + (high - low) * (1 - Math.cos(Math.PI * i / terms)) / 2;
        }
        double[] solved = equioscillating(points);
        for (int round = 0; round < ROUNDS; round++) {
            double moved = moveToExtrema(points, solved, terms);
            solved = equioscillating(points);
            if (moved <= SETTLED * high) {
                break;
            }
        }
        double[] all = new double[MOST_TERMS];
        System.arraycopy(solved, 0, all, 0, terms);
        return new MinimaxPolynomial(new Coefficients(all[0], all[1], all[2], all[3], all[4]), Math.abs(solved[terms]));
    }

    /** Moves the inner points to where the derivative vanishes, and says by how much. Fewer extrema than points: they stay. */
    private static double moveToExtrema(double[] points, double[] solved, int terms) {
        double low = points[0];
        double ratio = Math.pow(points[terms] / low, 1.0 / GRID);
        double moved = 0;
        int found = 0;
        double left = low;
        for (int i = 1; i <= GRID && found < terms - 1; i++) {
            double right = i == GRID ? points[terms] : low * Math.pow(ratio, i);
            if (slope(solved, terms, left) > 0 != slope(solved, terms, right) > 0) {
                double extremum = rootOfSlope(solved, terms, left, right);
                found++;
                moved += Math.abs(extremum - points[found]);
                points[found] = extremum;
            }
            left = right;
        }
        return moved;
    }

    private static double rootOfSlope(double[] solved, int terms, double from, double to) {
        boolean rising = slope(solved, terms, from) > 0;
        double left = from;
        double right = to;
        for (int i = 0; i < HALVINGS; i++) {
            double middle = (left + right) / 2;
            if (slope(solved, terms, middle) > 0 == rising) {
                left = middle;
            } else {
                right = middle;
            }
        }
        return (left + right) / 2;
    }

    private static double slope(double[] solved, int terms, double x) {
        double sum = 0;
        for (int k = terms - 1; k >= 0; k--) {
            sum = sum * x * x + (2 * k + 1) * solved[k];
        }
        return sum;
    }

    /** The coefficients and e, with {@code p(x) ± e = 1} at the points, + at the first. */
    private static double[] equioscillating(double[] points) {
        int n = points.length;
        double[][] rows = new double[n][n + 1];
        for (int i = 0; i < n; i++) {
            double power = points[i];
            for (int k = 0; k < n - 1; k++) {
                rows[i][k] = power;
                power *= points[i] * points[i];
            }
            rows[i][n - 1] = i % 2 == 0 ? 1 : -1;
            rows[i][n] = 1;
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
