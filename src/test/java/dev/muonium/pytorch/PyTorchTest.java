package dev.muonium.pytorch;

import dev.muonium.device.Device;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Tests that load JavaCPP's libtorch, in a process of their own: another libtorch cannot be in it. */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Tag("pytorch")
@ExtendWith(PyTorchTest.CudaFirst.class)
@interface PyTorchTest {
    /** JavaCPP loads a CUDA runtime that it finds on the machine, and of two the first one that is loaded counts: it must be the emulated one. */
    final class CudaFirst implements BeforeAllCallback {
        static boolean isEmulated() {
            return "emulated".equals(System.getProperty("muonium.test.cuda"));
        }

        @Override
        public void beforeAll(ExtensionContext context) {
            if (isEmulated()) {
                Device.cuda().close();
            }
        }
    }
}
