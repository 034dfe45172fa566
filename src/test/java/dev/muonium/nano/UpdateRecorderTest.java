package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.checkpoint.Safetensors;
import dev.muonium.memory.BlockFormat;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StateTensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class UpdateRecorderTest {
    @TempDir
    private Path folder;

    /** u is made of the gradient and of the momentum after the step: of that very one in FP32, of a rounded one in 8 bits. */
    @Test
    void whatIsRecordedIsWhatTheFormulaSays() {
        recordedFollowsFromStateAndGradient(false, 1e-6);
        recordedFollowsFromStateAndGradient(true, 0.02);
    }

    private void recordedFollowsFromStateAndGradient(boolean eightBits, double tolerance) {
        try (TrainerTest.Run run = new TrainerTest.Run(2, Map.of("use_8bit_optim", eightBits))) {
            run.trainer.record(new UpdateRecorder(folder, List.of(3)));
            run.trainer.trainStep();
            run.trainer.trainStep();
            TrainStep third = run.trainer.trainStep();
            double clip = Math.min(1, 1 / (third.gradientNorm() + 1e-6));
            try (Safetensors file = Safetensors.open(folder.resolve("updates-000003.safetensors"))) {
                assertEquals("3", file.metadata().get("step"));
                double beta = Double.parseDouble(String.valueOf(file.metadata().get("momentum")));
                List<GptParameter> matrices = run.trainer.gpt().parameters().stream()
                        .filter(parameter -> parameter.description().kind() == ParameterKind.MATRIX)
                        .toList();
                assertEquals(2 * matrices.size(), file.names().size());
                for (GptParameter matrix : matrices) {
                    double[] u = file.tensor(matrix.name()).toDoubles();
                    double[] g = file.tensor(matrix.name() + ".gradient").toDoubles();
                    float[] m = momentum(run, matrix.name());
                    double error = 0;
                    double square = 0;
                    for (int i = 0; i < u.length; i++) {
                        double expected = (1 - beta) * clip * g[i] + beta * m[i];
                        error += (u[i] - expected) * (u[i] - expected);
                        square += expected * expected;
                    }
                    assertTrue(
                            Math.sqrt(error / square) <= tolerance,
                            matrix.name() + ": " + Math.sqrt(error / square) + " > " + tolerance);
                }
            }
        }
    }

    private static float[] momentum(TrainerTest.Run run, String name) {
        StateTensor state = run.trainer.optimizer().state(name).tensor("momentum_buffer");
        float[] values = new float[Math.toIntExact(state.elements())];
        if (state.format() == BlockFormat.F32) {
            MemorySegment.copy(state.codes(), ValueLayout.JAVA_FLOAT, 0, values, 0, values.length);
            return values;
        }
        MemorySegment scales = Objects.requireNonNull(state.scales());
        for (int i = 0; i < values.length; i++) {
            values[i] = state.codes().get(ValueLayout.JAVA_BYTE, i)
                    * scales.getAtIndex(ValueLayout.JAVA_FLOAT, i / state.block());
        }
        return values;
    }
}
