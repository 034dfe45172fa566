package dev.muonium.cli;

import java.util.Locale;

/** What optimizer state is kept in, as {@code --state} names it. */
enum StateFormatChoice {
    FP32,
    INT8;

    boolean is8bit() {
        return this == INT8;
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
