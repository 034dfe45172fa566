package dev.muonium.jmh;

import java.nio.file.Path;

/** What {@code jmh/djl.sh} was asked for. */
record DjlOptions(Path corpus, int steps, int hidden, int layers, float adamWRate, float muonRate) {
    static DjlOptions parse(String[] args) {
        Path corpus = null;
        int steps = 400;
        int hidden = 640;
        int layers = 3;
        float adamWRate = 2e-3f;
        float muonRate = 0.02f;
        for (int i = 0; i < args.length; i += 2) {
            String option = args[i];
            if (i + 1 == args.length) {
                throw new IllegalArgumentException(option + " needs a value");
            }
            String value = args[i + 1];
            switch (option) {
                case "--corpus" -> corpus = Path.of(value);
                case "--steps" -> steps = positive(option, value);
                case "--hidden" -> hidden = positive(option, value);
                case "--layers" -> layers = positive(option, value);
                case "--adamw" -> adamWRate = rate(option, value);
                case "--muon" -> muonRate = rate(option, value);
                default ->
                    throw new IllegalArgumentException("unknown option " + option
                            + "; there are --steps, --hidden, --layers, --adamw, --muon and --corpus");
            }
        }
        if (corpus == null) {
            throw new IllegalArgumentException("--corpus FILE.gz is missing");
        }
        return new DjlOptions(corpus, steps, hidden, layers, adamWRate, muonRate);
    }

    private static int positive(String option, String value) {
        if (!value.matches("[1-9]\\d{0,6}")) {
            throw new IllegalArgumentException(option + " is '" + value + "'; it must be a count from 1 on");
        }
        return Integer.parseInt(value);
    }

    private static float rate(String option, String value) {
        if (!value.matches("\\d*\\.?\\d+(e-?\\d+)?")) {
            throw new IllegalArgumentException(option + " is '" + value + "'; it must be a learning rate");
        }
        return Float.parseFloat(value);
    }
}
