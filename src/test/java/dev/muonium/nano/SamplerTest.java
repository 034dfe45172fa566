package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

final class SamplerTest {
    private static final float[] LOGITS = {(float) Math.log(0.1), (float) Math.log(0.6), (float) Math.log(0.3)};

    private static double[] frequencies(Sampler sampler) {
        double[] share = new double[3];
        for (int draw = 0; draw < 20_000; draw++) {
            share[sampler.next(LOGITS, draw)] += 1 / 20_000.0;
        }
        return share;
    }

    @Test
    void drawsByProbability() {
        double[] share = frequencies(new Sampler(1, 0, 5));
        assertEquals(0.1, share[0], 0.01);
        assertEquals(0.6, share[1], 0.015);
        assertEquals(0.3, share[2], 0.015);
    }

    @Test
    void temperatureSharpens() {
        double[] share = frequencies(new Sampler(0.5, 0, 5));
        assertEquals(0.36 / 0.46, share[1], 0.015);
    }

    @Test
    void keepsTheLikeliestFew() {
        double[] share = frequencies(new Sampler(1, 2, 5));
        assertEquals(0, share[0]);
        assertEquals(2 / 3.0, share[1], 0.015);
    }

    @Test
    void zeroTemperatureTakesTheLikeliest() {
        assertEquals(1, frequencies(new Sampler(0, 0, 5))[1], 1e-9);
    }

    @Test
    void refusesWhatIsNoTemperature() {
        assertTrue(assertThrows(IllegalArgumentException.class, () -> new Sampler(-1, 0, 5))
                .getMessage()
                .contains("the temperature is -1.0; it must be from 0 to 100"));
        assertTrue(assertThrows(IllegalArgumentException.class, () -> new Sampler(1, -1, 5))
                .getMessage()
                .contains("top-k is -1; it must be at least 0"));
    }
}
