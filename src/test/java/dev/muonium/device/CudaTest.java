package dev.muonium.device;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Tests of a CUDA device: run on the emulator, where the build says so, and then the device must be there; else on a GPU, or skipped
 * with the reason.
 */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Tag("cuda")
@ExtendWith(CudaTest.Condition.class)
public @interface CudaTest {
    /** Whether there is a device to test. */
    final class Condition implements ExecutionCondition {
        /** Whether the tests run on the emulator. */
        static boolean isEmulated() {
            return "emulated".equals(System.getProperty("muonium.test.cuda"));
        }

        @Override
        public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
            CudaAvailability found = CudaProbe.probe();
            if (found.available()) {
                return ConditionEvaluationResult.enabled(found.gpus().toString());
            }
            if (isEmulated()) {
                throw new IllegalStateException("the emulated CUDA device cannot be used: " + found.explanation());
            }
            return ConditionEvaluationResult.disabled("no CUDA device: " + found.reason());
        }
    }
}
